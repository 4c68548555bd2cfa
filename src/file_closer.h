// Closes files where nobody minds waiting.
#pragma once

#include <functional>
#include <utility>

#include "src/file_place.h"
#include "src/mutex.h"

namespace tensord {

// Closing a file of another machine, or of a process (FUSE), may wait for it as long as reading;
// and whoever drops a file last may be a thread that must not wait. Thread-safe.
class FileCloser {
 public:
  // Runs `close`, which may wait at `place`, on some other thread.
  using Post = std::function<void(const FilePlace& place, std::function<void()> close)>;

  // `post` must not block; null, as at first: files are closed where they are dropped. The former
  // one is not running any more when this returns.
  void SetPost(Post post) {
    const MutexLock lock(mutex_);
    post_ = std::move(post);
  }

  void Close(const FilePlace& place, std::function<void()> close) const {
    {
      const MutexLock lock(mutex_);
      if (post_) return post_(place, std::move(close));
    }
    close();
  }

 private:
  mutable Mutex mutex_;
  Post post_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
