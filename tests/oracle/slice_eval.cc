// Evaluates slices for slice_oracle.py: one case a line on standard input, one answer a line on
// standard output. Columns are separated by tabs:
//   DTYPE SHAPE INDEX CHUNK_BYTES BEGIN END
// SHAPE is "2,3" ("" for a scalar). INDEX is "text:[0:2]", read by Slice::Parse, or "dims:" and an
// entry for each dimension, separated by spaces: "i5", "r1:2:" (absent members empty), "l0:2:;3:4:"
// (a list, "l" alone is empty) or "s1,4,0,0,1" (a Shard's members). Result bytes [BEGIN, END) are
// gathered in chunks of CHUNK_BYTES out of a tensor with known bytes. The answer is "OK", the
// result's shape, its size in bytes and the bytes in hexadecimal; or an ErrorReason's name.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "src/chunk_cursor.h"
#include "src/slice_plan.h"
#include "src/status_macros.h"
#include "tensord/error_reason.h"

namespace tensord {
namespace {

// Input that our own script wrote wrong ends the program.
template <typename Number>
Number ToNumber(absl::string_view text) {
  Number number = 0;
  if (!absl::SimpleAtoi(text, &number)) {
    std::cerr << "not a number: " << text << "\n";
    std::exit(2);
  }
  return number;
}

std::optional<int64_t> ToBound(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  return ToNumber<int64_t>(text);
}

DimRange ToRange(absl::string_view text) {
  const std::vector<absl::string_view> bounds = absl::StrSplit(text, ':');
  return {ToBound(bounds.at(0)), ToBound(bounds.at(1)), ToBound(bounds.at(2))};
}

Dim ToDim(absl::string_view text) {
  const absl::string_view value = text.substr(1);
  if (text[0] == 'i') return DimIndex{ToNumber<int64_t>(value)};
  if (text[0] == 'r') return ToRange(value);
  if (text[0] == 'l') {
    DimRanges list;
    for (const absl::string_view range : absl::StrSplit(value, ';', absl::SkipEmpty())) {
      list.ranges.push_back(ToRange(range));
    }
    return list;
  }
  const std::vector<absl::string_view> members = absl::StrSplit(value, ',');
  return Shard{ToNumber<uint32_t>(members.at(0)), ToNumber<uint32_t>(members.at(1)),
               ToNumber<uint32_t>(members.at(2)), ToNumber<uint64_t>(members.at(3)),
               members.at(4) == "1"};
}

absl::StatusOr<Slice> ToSlice(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "text:")) return Slice::Parse(text);
  absl::ConsumePrefix(&text, "dims:");
  Slice slice;
  for (const absl::string_view dim : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    slice.dims.push_back(ToDim(dim));
  }
  return slice;
}

// As slice_oracle.py fills its own tensor.
std::vector<std::byte> KnownBytes(Dtype dtype, const Shape& shape) {
  uint64_t bits = BitsPerElement(dtype);
  for (const uint64_t extent : shape) bits *= extent;
  std::vector<std::byte> bytes(bits / 8);
  for (uint64_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  }
  return bytes;
}

absl::StatusOr<std::string> Evaluate(const std::string& line) {
  const std::vector<std::string> columns = absl::StrSplit(line, '\t');
  const Dtype dtype = ParseDtype(columns.at(0)).value();
  Shape shape;
  for (const absl::string_view extent : absl::StrSplit(columns.at(1), ',', absl::SkipEmpty())) {
    shape.push_back(ToNumber<uint64_t>(extent));
  }
  TENSORD_ASSIGN_OR_RETURN(const Slice slice, ToSlice(columns.at(2)));
  TENSORD_ASSIGN_OR_RETURN(SlicePlan created, SlicePlan::Create(dtype, shape, slice));
  const auto plan = std::make_shared<const SlicePlan>(std::move(created));
  const std::vector<std::byte> tensor = KnownBytes(dtype, shape);
  const auto chunk_bytes = ToNumber<uint64_t>(columns.at(3));
  const auto begin = std::min(ToNumber<uint64_t>(columns.at(4)), plan->size_bytes());
  const auto end = std::clamp(ToNumber<uint64_t>(columns.at(5)), begin, plan->size_bytes());
  ChunkCursor cursor(plan, begin, end);
  std::string result;
  while (cursor.remaining_bytes() > 0) {
    std::vector<std::byte> chunk(std::min(chunk_bytes, cursor.remaining_bytes()));
    cursor.Gather(tensor, absl::MakeSpan(chunk));
    result.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
  }
  return absl::StrCat("OK\t", absl::StrJoin(plan->shape(), ","), "\t", plan->size_bytes(), "\t",
                      absl::BytesToHexString(result));
}

int Main() {
  for (std::string line; std::getline(std::cin, line);) {
    const absl::StatusOr<std::string> answer = Evaluate(line);
    std::cout << (answer.ok() ? *answer : std::string(ErrorReasonName(ReasonOf(answer.status()))))
              << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace tensord

int main() { return tensord::Main(); }
