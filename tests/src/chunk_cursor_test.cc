#include "src/chunk_cursor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/error.h"
#include "tests/src/naive_slice.h"

namespace tensord {
namespace {

using naive::Dice;

std::vector<std::byte> AnyBytes(Dice& dice, uint64_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(dice.Number(0, 255));
  return bytes;
}

uint64_t SizeBytes(Dtype dtype, const Shape& shape) {
  uint64_t bits = BitsPerElement(dtype);
  for (const uint64_t extent : shape) bits *= extent;
  return bits / 8;
}

// One random tensor and slice of it, with what the oracle says of them.
struct Case {
  explicit Case(uint64_t seed) : dice(seed) {
    dtype = dice.AnyDtype();
    shape = dice.AnyShape(dtype);
    slice = dice.AnySlice(shape);
    tensor = AnyBytes(dice, SizeBytes(dtype, shape));
    expected = naive::Index(dtype, shape, slice);
    name = absl::StrCat("seed ", seed, ": ", DtypeName(dtype), "[", absl::StrJoin(shape, ", "), "]",
                        slice.ToString());
  }

  // The tensor's bytes that result byte `i` comes from; only for whole-byte dtypes.
  uint64_t SourceOf(uint64_t i) const {
    const uint64_t width = BitsPerElement(dtype) / 8;
    return expected.elements[i / width] * width + i % width;
  }

  Dice dice;
  Dtype dtype;
  Shape shape;
  Slice slice;
  std::vector<std::byte> tensor;
  naive::Result expected;
  std::string name;
};

// A stepped range of two positions in a list, whose ends touch its neighbours: the elements form
// aligned stretches, but the plan, which does not split ranges, refuses it. Refusing is safe.
bool HasListOfSteppedPairs(const Slice& slice) {
  return std::any_of(slice.dims.begin(), slice.dims.end(), [](const Dim& dim) {
    const auto* list = std::get_if<DimRanges>(&dim);
    return list != nullptr &&
           std::any_of(list->ranges.begin(), list->ranges.end(),
                       [](const DimRange& range) { return range.step.value_or(1) != 1; });
  });
}

// Reads [begin, end) of the result by gathers of random sizes.
void ExpectGathers(Case& test, const std::shared_ptr<const SlicePlan>& plan,
                   const std::vector<std::byte>& bytes, uint64_t begin, uint64_t end) {
  ChunkCursor cursor(plan, begin, end);
  while (cursor.remaining_bytes() > 0) {
    const uint64_t offset_bytes = cursor.offset_bytes();
    const auto size_bytes = static_cast<uint64_t>(test.dice.Number(
        1, static_cast<int64_t>(std::min<uint64_t>(40, cursor.remaining_bytes()))));
    std::vector<std::byte> chunk(size_bytes);
    cursor.Gather(test.tensor, absl::MakeSpan(chunk));
    ASSERT_TRUE(std::equal(chunk.begin(), chunk.end(), bytes.begin() + offset_bytes))
        << test.name << " at " << offset_bytes << " of [" << begin << ", " << end << ")";
    ASSERT_EQ(cursor.offset_bytes(), offset_bytes + size_bytes) << test.name;
  }
}

// Walks [begin, end) run by run, as a stream that sends mapped memory does.
void ExpectRuns(Case& test, const std::shared_ptr<const SlicePlan>& plan,
                const std::vector<std::byte>& bytes, uint64_t begin, uint64_t end) {
  ChunkCursor cursor(plan, begin, end);
  while (cursor.remaining_bytes() > 0) {
    const uint64_t limit = static_cast<uint64_t>(test.dice.Number(1, 30));
    const ChunkCursor::Run run = cursor.NextRun(limit);
    ASSERT_GT(run.size_bytes, 0u) << test.name;
    ASSERT_LE(run.size_bytes, limit) << test.name;
    ASSERT_LE(run.offset_bytes + run.size_bytes, test.tensor.size()) << test.name;
    ASSERT_TRUE(std::equal(bytes.begin() + cursor.offset_bytes(),
                           bytes.begin() + cursor.offset_bytes() + run.size_bytes,
                           test.tensor.begin() + run.offset_bytes))
        << test.name << " at " << cursor.offset_bytes();
    cursor.Skip(run.size_bytes);
  }
  ASSERT_EQ(cursor.offset_bytes(), end) << test.name;
  ASSERT_EQ(cursor.NextRun(1).size_bytes, 0u) << test.name;
}

// The hull is exactly from the lowest to the highest byte that is read.
void ExpectHull(Case& test, const std::shared_ptr<const SlicePlan>& plan, uint64_t begin,
                uint64_t end) {
  const uint64_t size_bytes = static_cast<uint64_t>(test.dice.Number(0, 60));
  const ChunkCursor::Run hull = ChunkCursor(plan, begin, end).Hull(size_bytes);
  ChunkCursor walker(plan, begin, begin + std::min(size_bytes, end - begin));
  uint64_t low = walker.remaining_bytes() > 0 ? ~uint64_t{0} : hull.offset_bytes;
  uint64_t high = walker.remaining_bytes() > 0 ? 0 : hull.offset_bytes;
  while (walker.remaining_bytes() > 0) {
    const ChunkCursor::Run run = walker.NextRun(~uint64_t{0});
    low = std::min(low, run.offset_bytes);
    high = std::max(high, run.offset_bytes + run.size_bytes);
    walker.Skip(run.size_bytes);
  }
  ASSERT_EQ(hull.offset_bytes, low) << test.name << " [" << begin << ", " << end << ")";
  ASSERT_EQ(hull.size_bytes, high - low) << test.name << " [" << begin << ", " << end << ")";
  if (BitsPerElement(test.dtype) % 8 != 0) return;
  for (uint64_t i = begin; i < begin + std::min(size_bytes, end - begin); ++i) {
    ASSERT_GE(test.SourceOf(i), hull.offset_bytes) << test.name;
    ASSERT_LT(test.SourceOf(i), hull.offset_bytes + hull.size_bytes) << test.name;
  }
}

void ExpectBytes(Case& test, SlicePlan created) {
  const auto plan = std::make_shared<const SlicePlan>(std::move(created));
  const auto bytes = naive::Bytes(test.dtype, test.tensor, test.expected.elements);
  ASSERT_EQ(plan->shape(), test.expected.shape) << test.name;
  ASSERT_EQ(plan->size_bytes(), bytes.size()) << test.name;
  std::vector<std::byte> whole(bytes.size());
  ChunkCursor(plan, 0, bytes.size()).Gather(test.tensor, absl::MakeSpan(whole));
  ASSERT_EQ(whole, bytes) << test.name;
  const auto size = static_cast<int64_t>(bytes.size());
  for (int i = 0; i < 3; ++i) {
    const auto begin = static_cast<uint64_t>(test.dice.Number(0, size));
    const auto end = static_cast<uint64_t>(test.dice.Number(static_cast<int64_t>(begin), size));
    ExpectGathers(test, plan, bytes, begin, end);
    ExpectRuns(test, plan, bytes, begin, end);
    ExpectHull(test, plan, begin, end);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(ChunkCursor, AgreesWithTheNaiveIndexOnRandomSlices) {
  std::map<std::string, int> num_cases;
  for (uint64_t seed = 1; seed <= 60'000; ++seed) {
    Case test(seed);
    auto plan = SlicePlan::Create(test.dtype, test.shape, test.slice);
    const ErrorReason reason = plan.ok() ? ErrorReason::kUnspecified : ReasonOf(plan.status());
    ++num_cases[plan.ok() ? "OK" : std::string(ErrorReasonName(reason))];
    if (reason != test.expected.reason) {
      const bool is_refused_pair = reason == ErrorReason::kBadSlice &&
                                   test.expected.reason == ErrorReason::kUnspecified &&
                                   HasListOfSteppedPairs(test.slice);
      ASSERT_TRUE(is_refused_pair) << test.name << ": " << plan.status();
      ++num_cases["stepped pair"];
      continue;
    }
    if (plan.ok()) ExpectBytes(test, *std::move(plan));
    if (HasFatalFailure()) return;
  }
  // Every outcome is drawn often, or the test says little.
  EXPECT_GT(num_cases["OK"], 20'000);
  EXPECT_GT(num_cases["BAD_SLICE"], 1'000);
  EXPECT_GT(num_cases["INDEX_OUT_OF_BOUNDS"], 100);
  EXPECT_GT(num_cases["UNEVEN_SHARD"], 100);
  EXPECT_LT(num_cases["stepped pair"], 100);
  for (const auto& [outcome, count] : num_cases) {
    RecordProperty(outcome, count);
    std::cout << outcome << ": " << count << "\n";
  }
}

}  // namespace
}  // namespace tensord
