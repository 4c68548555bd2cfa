// Keeps a disk busy ahead of a stream.
#pragma once

#include <cstdint>

#include "server/chunk_source.h"
#include "src/served_file.h"

namespace tensord {

// Of one stream that reads files from front to back. Costs nothing while all is in memory; from the
// first range that is not, what follows is to be fetched while that is sent. Not thread-safe.
class ReadAhead {
 public:
  // What is fetched at once: little for who wants little, then twice as much each time. While a
  // client takes one window the next is on its way, so a stream is at most two of them ahead.
  static constexpr uint64_t kFirstWindowBytes = 2 << 20;
  static constexpr uint64_t kMaxWindowBytes = 8 << 20;
  static constexpr uint64_t kReachBytes = 2 * kMaxWindowBytes;

  // `range` of `file`, which the stream sends next, is not in memory.
  void Missed(const ServedFile& file, const FileRange& range);

  // Whether the stream has more of `file` to fetch ahead.
  bool Follows(const ServedFile& file) const { return &file == file_ && has_more_; }

  // Whether some of that is to be fetched while `range` is sent, so that Next is to be asked.
  bool IsDue(const ServedFile& file, const FileRange& range) const;

  // What to fetch now, perhaps nothing. The stream reads on behind `range` up to `wanted_end`, or
  // farther where that is kReachBytes away.
  FileRange Next(const FileRange& range, uint64_t wanted_end);

 private:
  const ServedFile* file_ = nullptr;  // Compared, never used.
  uint64_t asked_end_ = 0;            // Up to here the file has been asked for.
  uint64_t window_bytes_ = kFirstWindowBytes;
  bool has_more_ = false;  // More than that will be wanted.
};

}  // namespace tensord
