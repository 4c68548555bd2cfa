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
    ASSERT_EQ(ErrorReasonName(reason), ErrorReasonName(test.expected.reason)) << test.name;
    if (plan.ok()) ExpectBytes(test, *std::move(plan));
    if (HasFatalFailure()) return;
  }
  // Every outcome is drawn often, or the test says little.
  EXPECT_GT(num_cases["OK"], 20'000);
  EXPECT_GT(num_cases["BAD_SLICE"], 1'000);
  EXPECT_GT(num_cases["INDEX_OUT_OF_BOUNDS"], 100);
  EXPECT_GT(num_cases["UNEVEN_SHARD"], 100);
  for (const auto& [outcome, count] : num_cases) {
    RecordProperty(outcome, count);
    std::cout << outcome << ": " << count << "\n";
  }
}

std::shared_ptr<const SlicePlan> Plan(Dtype dtype, const Shape& shape, absl::string_view text) {
  return std::make_shared<const SlicePlan>(
      SlicePlan::Create(dtype, shape, Slice::Parse(text).value()).value());
}

void ExpectRun(const ChunkCursor::Run& run, uint64_t offset_bytes, uint64_t size_bytes) {
  EXPECT_EQ(run.offset_bytes, offset_bytes);
  EXPECT_EQ(run.size_bytes, size_bytes);
}

TEST(ChunkCursor, NothingOfNothing) {
  ChunkCursor cursor(Plan(Dtype::kU8, {0, 3}, ""), 0, 0);
  EXPECT_EQ(cursor.remaining_bytes(), 0u);
  ExpectRun(cursor.NextRun(10), 0, 0);
  ExpectRun(cursor.Hull(10), 0, 0);
  cursor.Skip(0);
  cursor.Gather({}, {});
}

TEST(ChunkCursor, ARunOfAListIsItsWholeRange) {
  Slice slice;
  slice.dims = {DimRanges{{{6, 9, std::nullopt}, {0, 2, std::nullopt}}}};
  const auto plan =
      std::make_shared<const SlicePlan>(SlicePlan::Create(Dtype::kU16, {10, 5}, slice).value());
  ChunkCursor cursor(plan, 3, plan->size_bytes());
  ExpectRun(cursor.NextRun(~uint64_t{0}), 63, 27);
  ExpectRun(cursor.NextRun(4), 63, 4);
  cursor.Skip(27);
  ExpectRun(cursor.NextRun(~uint64_t{0}), 0, 20);
  ExpectRun(cursor.Hull(~uint64_t{0}), 0, 20);
}

TEST(ChunkCursor, EndCutsTheLastRun) {
  ChunkCursor cursor(Plan(Dtype::kU8, {100}, ""), 10, 20);
  ExpectRun(cursor.NextRun(~uint64_t{0}), 10, 10);
  ExpectRun(cursor.Hull(~uint64_t{0}), 10, 10);
  cursor.Skip(10);
  ExpectRun(cursor.NextRun(1), 0, 0);
}

TEST(ChunkCursor, BillionsOfOneByteRunsAreFoundByDivision) {
  // Every other byte of 2^40: 2^39 runs, and no list of them anywhere.
  const auto plan = Plan(Dtype::kU8, {uint64_t{1} << 20, uint64_t{1} << 20}, "[:, 1::2]");
  EXPECT_EQ(plan->loops().size(), 1u);
  EXPECT_EQ(plan->size_bytes(), uint64_t{1} << 39);
  for (const uint64_t i : {uint64_t{0}, uint64_t{12345}, (uint64_t{1} << 39) - 1}) {
    ExpectRun(ChunkCursor(plan, i, plan->size_bytes()).NextRun(99), 2 * i + 1, 1);
  }
  ExpectRun(ChunkCursor(plan, 5, plan->size_bytes()).Hull(1000), 11, 1999);
  ExpectRun(ChunkCursor(plan, 0, plan->size_bytes()).Hull(~uint64_t{0}), 1,
            (uint64_t{1} << 40) - 1);
}

TEST(ChunkCursor, OffsetsBeyond4GiBAreExact) {
  // F32 [3, 5, 2^31]: each row is 8 GiB.
  const uint64_t row_bytes = uint64_t{4} << 31;
  const auto plan = Plan(Dtype::kF32, {3, 5, uint64_t{1} << 31}, "[::-2, 1:5:3, -7:-2]");
  EXPECT_EQ(plan->size_bytes(), 2u * 2 * 5 * 4);
  const uint64_t column = row_bytes - 28;
  const std::vector<uint64_t> rows = {11, 14, 1, 4};  // 2*5+1, 2*5+4, 0*5+1, 0*5+4
  ChunkCursor cursor(plan, 0, plan->size_bytes());
  for (const uint64_t row : rows) {
    ExpectRun(cursor.NextRun(~uint64_t{0}), row * row_bytes + column, 20);
    cursor.Skip(20);
  }
  ExpectRun(ChunkCursor(plan, 3, 77).Hull(~uint64_t{0}), row_bytes + column, 13 * row_bytes + 20);
  ExpectRun(ChunkCursor(plan, 3, 77).Hull(20), 11 * row_bytes + column + 3, 3 * row_bytes);
}

TEST(ChunkCursor, TensorsOfNearly2To61BytesDoNotWrap) {
  const uint64_t extent = (uint64_t{1} << 31) - 1;  // U8 [2^31 - 1, 2^30 - 1]: below 2^61 bytes.
  const uint64_t width = (uint64_t{1} << 30) - 1;
  const uint64_t size_bytes = extent * width;
  const auto whole = Plan(Dtype::kU8, {extent, width}, "");
  EXPECT_EQ(whole->size_bytes(), size_bytes);
  ExpectRun(ChunkCursor(whole, size_bytes - 1, size_bytes).NextRun(9), size_bytes - 1, 1);
  const auto reversed = Plan(Dtype::kU8, {extent, width}, "[::-1, ::-1]");
  ExpectRun(ChunkCursor(reversed, 0, size_bytes).NextRun(9), size_bytes - 1, 1);
  ExpectRun(ChunkCursor(reversed, size_bytes - 1, size_bytes).NextRun(9), 0, 1);
  ExpectRun(ChunkCursor(reversed, 0, size_bytes).Hull(~uint64_t{0}), 0, size_bytes);
  const auto columns = Plan(Dtype::kU8, {extent, width}, "[::-1, -2:]");
  ExpectRun(ChunkCursor(columns, 1, 2 * extent).NextRun(9), size_bytes - 1, 1);
  ExpectRun(ChunkCursor(columns, 2, 2 * extent).NextRun(9), size_bytes - width - 2, 2);
  ExpectRun(ChunkCursor(columns, 0, 2 * extent).Hull(~uint64_t{0}), width - 2,
            size_bytes - width + 2);
  const auto corner = Plan(Dtype::kU64, {uint64_t{1} << 57}, "[-1]");
  ExpectRun(ChunkCursor(corner, 1, 8).NextRun(99), (uint64_t{1} << 60) - 7, 7);
  // The largest F4 tensor that a header may describe: 2^64 - 8 bits.
  const uint64_t nibbles = (uint64_t{1} << 62) - 2;
  const auto last = Plan(Dtype::kF4, {nibbles}, "[-2:]");
  ExpectRun(ChunkCursor(last, 0, 1).NextRun(9), (uint64_t{1} << 61) - 2, 1);
}

struct RunRow {
  std::string name;
  uint64_t run_bytes;
};

class GatherRuns : public testing::TestWithParam<RunRow> {};

// The copy loops of each size, forwards and backwards, from every phase of the first run.
TEST_P(GatherRuns, CopiesEveryPhase) {
  const uint64_t run_bytes = GetParam().run_bytes;
  const Shape shape = {37, run_bytes + 5};
  Dice dice(run_bytes);
  const auto tensor = AnyBytes(dice, shape[0] * shape[1]);
  for (const std::string rows : {":", "::-1", "::3", "30:2:-2"}) {
    const std::string text = absl::StrCat(rows, ", 2:", run_bytes + 2);
    const auto plan = Plan(Dtype::kU8, shape, text);
    const auto expected = naive::Bytes(
        Dtype::kU8, tensor, naive::Index(Dtype::kU8, shape, *Slice::Parse(text)).elements);
    for (uint64_t begin = 0; begin < std::min<uint64_t>(run_bytes + 2, expected.size()); ++begin) {
      std::vector<std::byte> chunk(expected.size() - begin);
      ChunkCursor(plan, begin, expected.size()).Gather(tensor, absl::MakeSpan(chunk));
      ASSERT_TRUE(std::equal(chunk.begin(), chunk.end(), expected.begin() + begin))
          << text << " from " << begin;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, GatherRuns,
                         testing::Values(RunRow{"One", 1}, RunRow{"Two", 2}, RunRow{"Three", 3},
                                         RunRow{"Four", 4}, RunRow{"Eight", 8},
                                         RunRow{"Sixteen", 16}, RunRow{"ThirtyTwo", 32},
                                         RunRow{"SixtyFour", 64}, RunRow{"Hundred", 100},
                                         RunRow{"HundredTwentyEight", 128},
                                         RunRow{"FiveHundredTwelve", 512}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
