// How much one page of a listing may hold.
#pragma once

#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tensord {

inline constexpr uint32_t kDefaultPageSize = 1'000;
inline constexpr uint32_t kMaxPageSize = 10'000;
// A quarter of gRPC's default limit on a message: the first item of a page is taken whatever its
// size, and the largest (a cut metadata value with its key) is 1.1 MiB.
inline constexpr size_t kMaxPageBytes = size_t{1} << 20;

// Counts items and bytes while a page is filled. A requested size of 0 is the default, one above
// the maximum is the maximum.
class PageBudget {
 public:
  explicit PageBudget(uint32_t page_size)
      : items_left_(page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize)) {}

  // No further item fits, whatever its size.
  bool is_full() const { return items_left_ == 0 || bytes_left_ == 0; }

  // Whether `item` still fits; if so, it is counted. The first one always fits.
  bool Admit(const google::protobuf::MessageLite& item) {
    const size_t size = EncodedSize(item);
    if (!is_empty_ && (items_left_ == 0 || size > bytes_left_)) return false;
    items_left_ -= std::min<size_t>(items_left_, 1);
    is_empty_ = false;
    Charge(size);
    return true;
  }

  // Counts the bytes of what is no item of the listing, but stands in the same message.
  void AddBytes(const google::protobuf::MessageLite& part) { Charge(EncodedSize(part)); }

  bool HasRoomFor(const google::protobuf::MessageLite& part) const {
    return EncodedSize(part) <= bytes_left_;
  }

 private:
  static size_t EncodedSize(const google::protobuf::MessageLite& part) {
    return part.ByteSizeLong() + 6;  // Its tag and its length.
  }
  void Charge(size_t size) { bytes_left_ -= std::min(bytes_left_, size); }

  size_t items_left_;
  size_t bytes_left_ = kMaxPageBytes;
  bool is_empty_ = true;
};

}  // namespace tensord
