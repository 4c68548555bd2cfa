#include "client/destination_writer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/uncached_copy.h"
#include "src/checked_math.h"

namespace tensord {
namespace {

constexpr uint32_t kBitsPerByte = 8;

// How far the last byte lies from the first; nullopt when that does not fit 64 bits.
template <typename Axes>
std::optional<uint64_t> Footprint(const Axes& axes, uint64_t unit_bytes) {
  uint64_t end = unit_bytes;
  for (const auto& axis : axes) {
    const auto distance = CheckedMul(axis.extent - 1, axis.stride);
    const auto sum = distance ? CheckedAdd(end, *distance) : std::nullopt;
    if (!sum) return std::nullopt;
    end = *sum;
  }
  return end;
}

// Whether each axis, from the smallest stride up, steps over all that the smaller ones cover. Other
// layouts without overlap exist, but no padded buffer is one.
template <typename Axes>
bool StepsOverSmaller(Axes axes, uint64_t unit_bytes) {
  std::sort(axes.begin(), axes.end(),
            [](const auto& a, const auto& b) { return a.stride < b.stride; });
  uint64_t covered = unit_bytes;
  for (const auto& axis : axes) {
    if (axis.extent == 1) continue;
    if (axis.stride < covered) return false;
    covered += (axis.extent - 1) * axis.stride;  // Fits: Footprint was asked before.
  }
  return true;
}

}  // namespace

absl::StatusOr<DestinationWriter> DestinationWriter::Dense(absl::Span<std::byte> destination,
                                                           uint64_t size_bytes) {
  if (destination.size() != size_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the destination has ", destination.size(),
                                                   " bytes, the result ", size_bytes));
  }
  DestinationWriter writer;
  writer.begin_ = destination.data();
  writer.size_bytes_ = writer.block_bytes_ = size_bytes;
  return writer;
}

absl::StatusOr<DestinationWriter> DestinationWriter::Strided(const Destination& destination,
                                                             Dtype dtype, const Shape& shape) {
  const auto& strides = destination.byte_strides;
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte strides {", absl::StrJoin(strides, ", "), "} of the destination: ", why,
                     " (the result is ", DtypeName(dtype), " [", absl::StrJoin(shape, ", "), "])"));
  };
  if (strides.size() != shape.size()) return bad("one is wanted for each dimension");

  std::vector<Axis> axes;
  for (size_t i = 0; i < shape.size(); ++i) axes.push_back({shape[i], strides[i]});
  uint64_t unit_bytes = BitsPerElement(dtype) / kBitsPerByte;
  if (BitsPerElement(dtype) < kBitsPerByte) {
    const uint64_t row_bits = axes.back().extent * BitsPerElement(dtype);
    if (row_bits % kBitsPerByte != 0) return bad("rows of this dtype are not whole bytes");
    if (axes.back().stride != 1) return bad("the last must be 1, for packed rows");
    axes.back().extent = row_bits / kBitsPerByte;
    unit_bytes = 1;
  }

  DestinationWriter writer;
  writer.begin_ = destination.bytes.data();
  for (const Axis& axis : axes) {
    if (axis.extent == 0) return writer;
  }
  const auto footprint = Footprint(axes, unit_bytes);
  if (!footprint || *footprint > destination.bytes.size()) {
    return bad(absl::StrCat("they lead out of its ", destination.bytes.size(), " bytes"));
  }
  if (!StepsOverSmaller(axes, unit_bytes)) return bad("elements share bytes");

  writer.size_bytes_ = writer.block_bytes_ = unit_bytes;
  for (const Axis& axis : axes) writer.size_bytes_ *= axis.extent;
  while (!axes.empty() && (axes.back().extent == 1 || axes.back().stride == writer.block_bytes_)) {
    writer.block_bytes_ *= axes.back().extent;
    axes.pop_back();
  }
  writer.axes_ = std::move(axes);
  return writer;
}

std::byte* DestinationWriter::BlockAddress(uint64_t block) const {
  uint64_t distance = 0;
  for (size_t i = axes_.size(); i-- > 0;) {
    distance += block % axes_[i].extent * axes_[i].stride;
    block /= axes_[i].extent;
  }
  return begin_ + distance;
}

void DestinationWriter::WriteDense(std::byte* address, PieceCursor data) const {
  const bool is_uncached = size_bytes_ > kUncachedBytes;
  while (data.remaining() > 0) {
    const absl::string_view piece = data.ReadPiece(data.remaining());
    if (is_uncached) {
      CopyUncached(address, piece.data(), piece.size());
    } else {
      std::memcpy(address, piece.data(), piece.size());
    }
    address += piece.size();
  }
}

void DestinationWriter::Write(uint64_t offset, PieceCursor data) {
  assert(offset <= size_bytes_ && data.remaining() <= size_bytes_ - offset);
  if (axes_.empty()) return WriteDense(begin_ + offset, data);
  while (data.remaining() > 0) {
    const uint64_t block = offset / block_bytes_;
    uint64_t in_block = offset % block_bytes_;
    std::byte* address = BlockAddress(block);
    while (in_block < block_bytes_ && data.remaining() > 0) {
      const absl::string_view piece = data.ReadPiece(block_bytes_ - in_block);
      std::memcpy(address + in_block, piece.data(), piece.size());
      in_block += piece.size();
      offset += piece.size();
    }
  }
}

}  // namespace tensord
