// Keeps account of a range of memory that is handed out in pieces.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

namespace tensord {

// Offsets into [0, size). Pieces that are put back join their free neighbours. Not thread-safe.
class ExtentPool {
 public:
  explicit ExtentPool(size_t size) : size_(size), free_size_(size) {
    if (size > 0) free_.emplace(0, size);
  }

  // The lowest place with `size` > 0 free bytes, so that memory used before is used again.
  std::optional<size_t> Take(size_t size);

  // Puts back a taken piece, or a part of one.
  void Put(size_t offset, size_t size);

  size_t free_size() const { return free_size_; }

  // Of the largest piece that Take would find now.
  size_t largest() const;

  // Everything from here on is free.
  size_t used_end() const;

 private:
  const size_t size_;
  std::map<size_t, size_t> free_;  // Offset to size; no two touch.
  size_t free_size_;
};

}  // namespace tensord
