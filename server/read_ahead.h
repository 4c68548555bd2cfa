// Keeps a disk busy ahead of a stream.
#pragma once

#include <cstdint>

#include "server/chunk_source.h"
#include "src/served_file.h"

namespace tensord {

// Of one stream that reads files from front to back. Costs nothing while all is in memory; from the
// first read that is not, the system is asked for what follows. Not thread-safe.
class ReadAhead {
 public:
  // As much is on its way while a client takes what came before: on a fast disk some milliseconds.
  static constexpr uint64_t kWindowBytes = 16 << 20;

  // Whether `range` of `file` is to be fetched, by Fetch and where it may wait, before it is sent.
  bool IsDue(const ServedFile& file, const FileRange& range) const;

  // Whether Fetch would ask for anything, so that `wanted_end` is worth finding out.
  bool IsLow(const ServedFile& file, const FileRange& range) const;

  // Asks for what follows `range`, up to the window or `wanted_end`. May wait.
  void Fetch(const ServedFile& file, const FileRange& range, uint64_t wanted_end);

 private:
  const ServedFile* file_ = nullptr;  // Compared, never used.
  uint64_t asked_end_ = 0;            // Up to here the system has been asked for the file.
  bool has_more_ = false;             // More than that will be wanted.
};

}  // namespace tensord
