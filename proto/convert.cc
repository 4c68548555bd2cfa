#include "proto/convert.h"

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/checked_math.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// The two lists of reasons are one list: same names, same numbers.
#define TENSORD_SAME_REASON(ours, theirs) \
  static_assert(static_cast<int>(ErrorReason::ours) == static_cast<int>(v1::theirs))
TENSORD_SAME_REASON(kUnspecified, ERROR_REASON_UNSPECIFIED);
TENSORD_SAME_REASON(kModelNotFound, MODEL_NOT_FOUND);
TENSORD_SAME_REASON(kTensorNotFound, TENSOR_NOT_FOUND);
TENSORD_SAME_REASON(kFileNotFound, FILE_NOT_FOUND);
TENSORD_SAME_REASON(kBadRequest, BAD_REQUEST);
TENSORD_SAME_REASON(kUnknownField, UNKNOWN_FIELD);
TENSORD_SAME_REASON(kBadSlice, BAD_SLICE);
TENSORD_SAME_REASON(kUnevenShard, UNEVEN_SHARD);
TENSORD_SAME_REASON(kBadPageToken, BAD_PAGE_TOKEN);
TENSORD_SAME_REASON(kIndexOutOfBounds, INDEX_OUT_OF_BOUNDS);
TENSORD_SAME_REASON(kRangeOutOfBounds, RANGE_OUT_OF_BOUNDS);
TENSORD_SAME_REASON(kAmbiguousModel, AMBIGUOUS_MODEL);
TENSORD_SAME_REASON(kVersionChanged, VERSION_CHANGED);
TENSORD_SAME_REASON(kFileInvalid, FILE_INVALID);
TENSORD_SAME_REASON(kShardMissing, SHARD_MISSING);
TENSORD_SAME_REASON(kFileChanged, FILE_CHANGED);
TENSORD_SAME_REASON(kReadError, READ_ERROR);
TENSORD_SAME_REASON(kTooManyStreams, TOO_MANY_STREAMS);
TENSORD_SAME_REASON(kOutOfBuffers, OUT_OF_BUFFERS);
TENSORD_SAME_REASON(kStarting, STARTING);
TENSORD_SAME_REASON(kDraining, DRAINING);
TENSORD_SAME_REASON(kStalled, STALLED);
TENSORD_SAME_REASON(kUnauthenticated, UNAUTHENTICATED);
TENSORD_SAME_REASON(kPermissionDenied, PERMISSION_DENIED);
static_assert(kNumErrorReasons == v1::ErrorReason_ARRAYSIZE);
#undef TENSORD_SAME_REASON

DimRange RangeFromProto(const v1::DimRange& range) {
  DimRange result;
  if (range.has_start()) result.start = range.start();
  if (range.has_stop()) result.stop = range.stop();
  if (range.has_step()) result.step = range.step();
  return result;
}

v1::DimRange RangeToProto(const DimRange& range) {
  v1::DimRange result;
  if (range.start) result.set_start(*range.start);
  if (range.stop) result.set_stop(*range.stop);
  if (range.step) result.set_step(*range.step);
  return result;
}

absl::StatusOr<Dim> DimFromProto(const v1::Dim& dim, int position) {
  switch (dim.kind_case()) {
    case v1::Dim::kIndex:
      return DimIndex{dim.index()};
    case v1::Dim::kRange:
      return RangeFromProto(dim.range());
    case v1::Dim::kRanges: {
      DimRanges list;
      for (const auto& range : dim.ranges().ranges()) list.ranges.push_back(RangeFromProto(range));
      return list;
    }
    case v1::Dim::kShard: {
      const v1::Shard& shard = dim.shard();
      return Shard{shard.index(), shard.count(), shard.multiple(), shard.padded_size(),
                   shard.allow_uneven()};
    }
    case v1::Dim::KIND_NOT_SET:
      break;
  }
  return MakeError(ErrorReason::kBadSlice,
                   absl::StrCat("dims[", position, "] says nothing: wanted one of index, range, ",
                                "ranges, shard (an empty range takes the whole dimension)"));
}

struct DimToProto {
  v1::Dim& dim;

  void operator()(const DimIndex& index) const { dim.set_index(index.index); }
  void operator()(const DimRange& range) const { *dim.mutable_range() = RangeToProto(range); }
  void operator()(const DimRanges& list) const {
    v1::DimRanges& ranges = *dim.mutable_ranges();  // Present also when the list is empty.
    for (const DimRange& range : list.ranges) *ranges.add_ranges() = RangeToProto(range);
  }
  void operator()(const Shard& shard) const {
    v1::Shard& result = *dim.mutable_shard();
    result.set_index(shard.index);
    result.set_count(shard.count);
    result.set_multiple(shard.multiple);
    result.set_padded_size(shard.padded_size);
    result.set_allow_uneven(shard.allow_uneven);
  }
};

std::optional<uint64_t> SizeOf(Dtype dtype, absl::Span<const uint64_t> shape) {
  std::optional<uint64_t> count = 1;
  for (const uint64_t extent : shape) {
    count = CheckedMul(*count, extent);
    if (!count) return std::nullopt;
  }
  const auto bits = CheckedMul(*count, BitsPerElement(dtype));
  if (!bits || *bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

}  // namespace

absl::StatusOr<Slice> SliceFromProto(const v1::Dims& dims) {
  Slice slice;
  slice.dims.reserve(dims.dims_size());
  for (int i = 0; i < dims.dims_size(); ++i) {
    TENSORD_ASSIGN_OR_RETURN(Dim dim, DimFromProto(dims.dims(i), i));
    slice.dims.push_back(std::move(dim));
  }
  return slice;
}

v1::Dims DimsToProto(const Slice& slice) {
  assert(!slice.ellipsis);
  v1::Dims dims;
  for (const Dim& dim : slice.dims) std::visit(DimToProto{*dims.add_dims()}, dim);
  return dims;
}

absl::StatusOr<ByteInterval> ResolveRange(uint64_t offset, std::optional<uint64_t> length,
                                          uint64_t size_bytes) {
  if (offset > size_bytes) {
    return MakeError(ErrorReason::kRangeOutOfBounds,
                     absl::StrCat("range begins at byte ", offset, ", wanted at most ", size_bytes,
                                  ", the size"));
  }
  if (!length) return ByteInterval{offset, size_bytes};
  if (*length > size_bytes - offset) {
    return MakeError(ErrorReason::kRangeOutOfBounds,
                     absl::StrCat("range of ", *length, " bytes from byte ", offset, " leaves the ",
                                  size_bytes, " bytes there are"));
  }
  return ByteInterval{offset, offset + *length};
}

absl::StatusOr<ByteInterval> ResolveRange(const v1::ByteRange& range, uint64_t size_bytes) {
  return ResolveRange(range.offset(),
                      range.has_length() ? std::make_optional(range.length()) : std::nullopt,
                      size_bytes);
}

absl::StatusOr<TensorInfo> TensorFromProto(const v1::TensorInfo& tensor) {
  const auto dtype = ParseDtype(tensor.dtype());
  if (!dtype) {
    return absl::DataLossError(absl::StrCat("tensor ", Quote(tensor.name()), " has dtype ",
                                            Quote(tensor.dtype()), ", which is not known here"));
  }
  TensorInfo info;
  info.name = tensor.name();
  info.dtype = *dtype;
  info.shape.assign(tensor.shape().begin(), tensor.shape().end());
  info.size_bytes = tensor.size_bytes();
  info.file = tensor.file();
  info.offset_bytes = tensor.offset_bytes();
  if (SizeOf(*dtype, info.shape) != info.size_bytes) {
    return absl::DataLossError(absl::StrCat(
        "tensor ", Quote(tensor.name()), " of dtype ", tensor.dtype(), " and shape [",
        absl::StrJoin(info.shape, ", "), "] is said to have ", info.size_bytes, " bytes"));
  }
  return info;
}

}  // namespace tensord
