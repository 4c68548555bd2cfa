#include "src/header_layout.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/checked_math.h"
#include "src/escape.h"
#include "src/format_error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Tensors' indices by (begin, end). Ties keep the file's order: the reference's is a hash map's.
std::vector<uint32_t> OffsetOrder(const std::vector<RawTensor>& tensors) {
  const auto key = [&tensors](uint32_t i) { return std::pair(tensors[i].begin, tensors[i].end); };
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&key](uint32_t a, uint32_t b) { return key(a) < key(b); };
  if (!std::is_sorted(order.begin(), order.end(), less)) {
    std::stable_sort(order.begin(), order.end(), less);
  }
  return order;
}

// `start`: where the tensor before ends.
absl::Status CheckTensor(const RawHeader& header, const RawTensor& tensor, uint64_t start) {
  const auto error = [&header, &tensor](FormatRule rule, absl::string_view problem) {
    return FormatError(rule,
                       absl::StrCat("tensor ", Quote(header.Text(tensor.name)), " ", problem));
  };
  if (tensor.begin != start) {
    return error(FormatRule::kInvalidOffset,
                 absl::StrCat("begins at ", tensor.begin, ", wanted ", start));
  }
  if (tensor.end < tensor.begin) {
    return error(FormatRule::kInvalidOffset,
                 absl::StrCat("ends at ", tensor.end, ", before it begins at ", tensor.begin));
  }
  const std::optional<uint64_t> size_bits =
      tensor.elements_overflow ? std::nullopt
                               : CheckedMul(tensor.num_elements, BitsPerElement(tensor.dtype));
  if (!size_bits) return error(FormatRule::kValidationOverflow, "has a shape of 2^64 bits or more");
  if (*size_bits % 8 != 0) {
    return error(FormatRule::kMisalignedSlice,
                 absl::StrCat("ends within a byte: it has ", *size_bits, " bits"));
  }
  const uint64_t size_bytes = tensor.end - tensor.begin;
  if (size_bytes != *size_bits / 8) {
    return error(FormatRule::kTensorInvalidInfo,
                 absl::StrCat("has data_offsets of ", size_bytes, " bytes, its dtype ",
                              DtypeName(tensor.dtype), " and shape need ", *size_bits / 8));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLayout(const RawHeader& header, uint64_t data_bytes) {
  uint64_t end = 0;
  for (const uint32_t i : OffsetOrder(header.tensors)) {
    const RawTensor& tensor = header.tensors[i];
    TENSORD_RETURN_IF_ERROR(CheckTensor(header, tensor, end));
    end = tensor.end;
  }
  if (end == data_bytes) return absl::OkStatus();
  return FormatError(FormatRule::kMetadataIncompleteBuffer,
                     absl::StrCat("the tensors end at byte ", end,
                                  " of the data section, which has ", data_bytes, " bytes"));
}

}  // namespace tensord
