// SIGHUP.
#pragma once

#include <functional>
#include <memory>

namespace tensord {

// Takes SIGHUP out of the hands of all threads: to be made before any other thread. Until there is
// a handler, and once the object is gone, the signal does nothing.
class ReloadSignal {
 public:
  ReloadSignal();
  ~ReloadSignal() { Handle(nullptr); }
  ReloadSignal(const ReloadSignal&) = delete;
  ReloadSignal& operator=(const ReloadSignal&) = delete;

  // `handler` is called by a thread of ours at each SIGHUP and must not block. The former one is
  // not running any more when this returns.
  void Handle(std::function<void()> handler);

 private:
  struct Shared;

  const std::shared_ptr<Shared> shared_;
};

}  // namespace tensord
