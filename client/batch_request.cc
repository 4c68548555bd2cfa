#include "client/batch_request.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <tuple>
#include <variant>

#include "client/slice_index.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using google::protobuf::io::CodedOutputStream;

// Wire types of protobuf's encoding.
constexpr uint32_t kVarint = 0;
constexpr uint32_t kDelimited = 2;

// All field numbers here are below 16, so a tag is one byte; a varint has at most ten.
constexpr size_t kTagBytes = 1;
constexpr size_t kMaxVarintBytes = 10;

size_t DelimitedSize(size_t size) {
  return kTagBytes + CodedOutputStream::VarintSize64(size) + size;
}

size_t VarintFieldSize(uint64_t value) {
  return kTagBytes + CodedOutputStream::VarintSize64(value);
}

void AppendVarint(uint64_t value, std::string& out) {
  uint8_t bytes[kMaxVarintBytes];
  const uint8_t* const end = CodedOutputStream::WriteVarint64ToArray(value, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes));
}

void AppendTag(int number, uint32_t wire_type, std::string& out) {
  out.push_back(static_cast<char>(static_cast<uint32_t>(number) << 3 | wire_type));
}

// The field's bytes follow.
void OpenField(int number, size_t size, std::string& out) {
  AppendTag(number, kDelimited, out);
  AppendVarint(size, out);
}

size_t RangeSize(const ByteRange& range) {
  return (range.offset == 0 ? 0 : VarintFieldSize(range.offset)) +
         (range.length ? VarintFieldSize(*range.length) : 0);
}

void AppendRange(const ByteRange& range, std::string& out) {
  OpenField(v1::Selection::kRangeFieldNumber, RangeSize(range), out);
  if (range.offset != 0) {
    AppendTag(v1::ByteRange::kOffsetFieldNumber, kVarint, out);
    AppendVarint(range.offset, out);
  }
  if (range.length) {
    AppendTag(v1::ByteRange::kLengthFieldNumber, kVarint, out);
    AppendVarint(*range.length, out);
  }
}

bool IsSame(const DimRange& a, const DimRange& b) {
  return std::tie(a.start, a.stop, a.step) == std::tie(b.start, b.stop, b.step);
}

// Of two dims of one kind.
struct IsSameDim {
  const Dim& other;

  bool operator()(const DimIndex& dim) const {
    return dim.index == std::get<DimIndex>(other).index;
  }
  bool operator()(const DimRange& dim) const { return IsSame(dim, std::get<DimRange>(other)); }
  bool operator()(const DimRanges& dim) const {
    const auto& ranges = std::get<DimRanges>(other).ranges;
    return std::equal(dim.ranges.begin(), dim.ranges.end(), ranges.begin(), ranges.end(), IsSame);
  }
  bool operator()(const Shard& dim) const {
    const auto fields = [](const Shard& s) {
      return std::tie(s.index, s.count, s.multiple, s.padded_size, s.allow_uneven);
    };
    return fields(dim) == fields(std::get<Shard>(other));
  }
};

bool IsSame(const Slice& a, const Slice& b) {
  const auto same_dim = [](const Dim& left, const Dim& right) {
    return left.index() == right.index() && std::visit(IsSameDim{right}, left);
  };
  return a.ellipsis == b.ellipsis &&
         std::equal(a.dims.begin(), a.dims.end(), b.dims.begin(), b.dims.end(), same_dim);
}

}  // namespace

BatchRequest::BatchRequest(const v1::GetTensorsRequest& common)
    : bytes_(common.SerializeAsString()) {}

absl::Status BatchRequest::EncodeIndex(const Slice& slice) {
  if (IsSame(slice, slice_)) return absl::OkStatus();
  v1::Selection selection;
  TENSORD_RETURN_IF_ERROR(SetIndex(slice, selection));
  slice_ = slice;
  index_ = selection.SerializeAsString();
  return absl::OkStatus();
}

absl::StatusOr<bool> BatchRequest::Add(const SelectionView& selection) {
  TENSORD_RETURN_IF_ERROR(EncodeIndex(*selection.slice));
  const size_t size = DelimitedSize(selection.target.size()) + index_.size() +
                      (selection.range != nullptr ? DelimitedSize(RangeSize(*selection.range)) : 0);
  if (num_selections_ > 0 && bytes_.size() + DelimitedSize(size) > kMaxRequestBytes) return false;
  OpenField(v1::GetTensorsRequest::kSelectionsFieldNumber, size, bytes_);
  OpenField(
      selection.is_pattern ? v1::Selection::kPatternFieldNumber : v1::Selection::kTensorFieldNumber,
      selection.target.size(), bytes_);
  bytes_.append(selection.target.data(), selection.target.size());
  bytes_.append(index_);
  if (selection.range != nullptr) AppendRange(*selection.range, bytes_);
  ++num_selections_;
  return true;
}

}  // namespace tensord
