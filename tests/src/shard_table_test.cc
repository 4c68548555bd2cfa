// What each rank of real deployments reads, against the formulas that inference engines use,
// written out here: start and stop of every rank, and that the ranks together cover a dimension
// once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "src/chunk_cursor.h"
#include "src/slice_plan.h"

namespace tensord {
namespace {

constexpr std::nullopt_t kNone = std::nullopt;

// Rows [start, stop) of a dimension.
struct Rows {
  int64_t start = 0;
  int64_t stop = 0;
};

SlicePlan Plan(Dtype dtype, const Shape& shape, std::vector<Dim> dims) {
  return SlicePlan::Create(dtype, shape, Slice{std::move(dims), kNone}).value();
}

// `dim` on dimension `axis`, the others whole.
std::vector<Dim> On(size_t axis, Dim dim) {
  std::vector<Dim> dims(axis, DimRange{});
  dims.push_back(std::move(dim));
  return dims;
}

// The plan of `dim` on `axis` is the plan of the same rows spelled as a range or a list: same
// shape, same bytes.
void ExpectSameBytes(Dtype dtype, const Shape& shape, size_t axis, const Dim& dim,
                     const std::vector<Rows>& rows) {
  DimRanges list;
  for (const Rows& part : rows) list.ranges.push_back({part.start, part.stop, kNone});
  const SlicePlan plan = Plan(dtype, shape, On(axis, dim));
  const SlicePlan spelled = Plan(dtype, shape, On(axis, list));
  EXPECT_EQ(plan.shape(), spelled.shape());
  EXPECT_EQ(plan.size_bytes(), spelled.size_bytes());
  EXPECT_EQ(plan.run_bytes(), spelled.run_bytes());
  EXPECT_EQ(plan.offset_bytes(), spelled.offset_bytes());
  EXPECT_EQ(plan.loops().size(), spelled.loops().size());
}

// One tensor, cut along one dimension.
struct Cut {
  std::string name;
  Dtype dtype;
  Shape shape;
  size_t axis;
  uint32_t count;     // Of distinct parts.
  uint32_t multiple;  // As in Shard.
  uint64_t padded_size;
  bool allow_uneven;
  int64_t rows_per_part;  // What the engine's formula gives.
};

class ShardTable : public testing::TestWithParam<Cut> {};

TEST_P(ShardTable, EveryPartStartsAndStopsWhereTheFormulaSays) {
  const Cut& cut = GetParam();
  const auto extent = static_cast<int64_t>(cut.shape[cut.axis]);
  int64_t covered = 0;
  uint64_t size_bytes = 0;
  for (uint32_t part = 0; part < cut.count; ++part) {
    SCOPED_TRACE("part " + std::to_string(part));
    const Rows rows = {std::min(part * cut.rows_per_part, extent),
                       std::min((part + 1) * cut.rows_per_part, extent)};
    const Shard shard{part, cut.count, cut.multiple, cut.padded_size, cut.allow_uneven};
    ExpectSameBytes(cut.dtype, cut.shape, cut.axis, shard, {rows});
    const SlicePlan plan = Plan(cut.dtype, cut.shape, On(cut.axis, shard));
    EXPECT_EQ(plan.shape()[cut.axis], static_cast<uint64_t>(rows.stop - rows.start));
    EXPECT_EQ(rows.start, covered);
    covered = rows.stop;
    size_bytes += plan.size_bytes();
  }
  EXPECT_EQ(covered, extent);
  EXPECT_EQ(size_bytes, Plan(cut.dtype, cut.shape, {}).size_bytes());
}

std::string NameOf(const testing::TestParamInfo<Cut>& cut) { return cut.param.name; }

constexpr Dtype kBF16 = Dtype::kBF16;
constexpr Dtype kF8 = Dtype::kF8E4M3;
constexpr Dtype kU8 = Dtype::kU8;

// hidden 8192, 64 heads and 8 KV heads of 128, intermediate 28672, vocabulary 128256.
INSTANTIATE_TEST_SUITE_P(
    Llama3At70B, ShardTable,
    testing::Values(Cut{"QProj", kBF16, {8192, 8192}, 0, 16, 0, 0, false, 8192 / 16},
                    Cut{"KProjOverItsEightHeads", kBF16, {1024, 8192}, 0, 8, 0, 0, false, 128},
                    Cut{"OProj", kBF16, {8192, 8192}, 1, 16, 0, 0, false, 8192 / 16},
                    Cut{"GateProj", kBF16, {28672, 8192}, 0, 16, 0, 0, false, 28672 / 16},
                    Cut{"DownProj", kBF16, {8192, 28672}, 1, 16, 0, 0, false, 28672 / 16},
                    Cut{"Embedding", kBF16, {128256, 8192}, 0, 16, 0, 0, false, 8016}),
    NameOf);

// The vocabulary of 50257 is padded to a multiple of 64, 50304, and then divided.
INSTANTIATE_TEST_SUITE_P(
    Gpt2, ShardTable,
    testing::Values(Cut{"WteAt2", Dtype::kF32, {50257, 768}, 0, 2, 0, 50304, false, 25152},
                    Cut{"WteAt4", Dtype::kF32, {50257, 768}, 0, 4, 0, 50304, false, 12576},
                    Cut{"WteAt2ByMultiple", Dtype::kF32, {50257, 768}, 0, 2, 64, 0, false, 25152},
                    Cut{"MlpFcAt4", Dtype::kF32, {768, 3072}, 1, 4, 0, 0, false, 768},
                    Cut{"MlpProjAt4", Dtype::kF32, {3072, 768}, 0, 4, 0, 0, false, 768}),
    NameOf);

// 2880 = 90 blocks of 32 values. A rank has ceil(90 / TP) whole blocks: of gate and up together 64
// rows each, of down one block of dimension 2.
INSTANTIATE_TEST_SUITE_P(
    GptOss120B, ShardTable,
    testing::Values(
        Cut{"GateUpBlocksAt8", kU8, {128, 5760, 90, 16}, 1, 8, 64, 0, false, 2 * 32 * 12},
        Cut{"GateUpBlocksAt16", kU8, {128, 5760, 90, 16}, 1, 16, 64, 0, false, 2 * 32 * 6},
        Cut{"GateUpScalesAt8", kU8, {128, 5760, 90}, 1, 8, 64, 0, false, 768},
        Cut{"GateUpBiasAt8", kBF16, {128, 5760}, 1, 8, 64, 0, false, 768},
        Cut{"DownBlocksAt8", kU8, {128, 2880, 90, 16}, 2, 8, 1, 0, true, 12},
        Cut{"DownBlocksAt16", kU8, {128, 2880, 90, 16}, 2, 16, 1, 0, true, 6},
        Cut{"DownScalesAt8", kU8, {128, 2880, 90}, 2, 8, 1, 0, true, 12}),
    NameOf);

// FP8 weights in blocks of 128 x 128 with one scale each; 18432 dense, 2048 per expert.
INSTANTIATE_TEST_SUITE_P(
    DeepSeekV3At8, ShardTable,
    testing::Values(Cut{"QBProj", kF8, {24576, 1536}, 0, 8, 0, 0, false, 128 * 192 / 8},
                    Cut{"QBProjScale", Dtype::kF32, {192, 12}, 0, 8, 0, 0, false, 24},
                    Cut{"KvBProj", kF8, {32768, 512}, 0, 8, 0, 0, false, 4096},
                    Cut{"OProj", kF8, {7168, 16384}, 1, 8, 0, 0, false, 2048},
                    Cut{"OProjScale", Dtype::kF32, {56, 128}, 1, 8, 0, 0, false, 16},
                    Cut{"DenseGate", kF8, {18432, 7168}, 0, 8, 128, 0, false, 2304},
                    Cut{"DenseDown", kF8, {7168, 18432}, 1, 8, 128, 0, false, 2304},
                    Cut{"ExpertGate", kF8, {2048, 7168}, 0, 8, 128, 0, false, 256},
                    Cut{"ExpertGateScale", Dtype::kF32, {16, 56}, 0, 8, 0, 0, false, 2},
                    Cut{"Head", kBF16, {129280, 7168}, 0, 8, 0, 0, false, 16160}),
    NameOf);

// 8 KV heads on 16 ranks: neighbours share one.
TEST(ShardTable, Llama3At70BReplicatesKvHeadsOnPairsOfRanks) {
  const Shape shape = {1024, 8192};
  for (uint32_t rank = 0; rank < 16; ++rank) {
    SCOPED_TRACE("rank " + std::to_string(rank));
    const int64_t head = rank * 8 / 16;
    const Shard shard{rank / 2, 8, 0, 0, false};
    ExpectSameBytes(kBF16, shape, 0, shard, {{head * 128, (head + 1) * 128}});
    const SlicePlan plan = Plan(kBF16, shape, On(0, shard));
    EXPECT_TRUE(plan.is_contiguous());
    EXPECT_EQ(plan.offset_bytes(), static_cast<uint64_t>(head) * 128 * 8192 * 2);
  }
}

TEST(ShardTable, Gpt2SecondRankOfTwoStartsAt25152) {
  const SlicePlan plan = Plan(Dtype::kF32, {50257, 768}, On(0, Shard{1, 2, 0, 50304, false}));
  EXPECT_EQ(plan.offset_bytes(), 25152u * 768 * 4);
  EXPECT_EQ(plan.shape(), (Shape{50257 - 25152, 768}));
}

TEST(ShardTable, GptOssLastRankOf16HasNoBlocks) {
  const SlicePlan down = Plan(kU8, {128, 2880, 90, 16}, On(2, Shard{15, 16, 1, 0, true}));
  EXPECT_EQ(down.shape(), (Shape{128, 2880, 0, 16}));
  EXPECT_EQ(down.size_bytes(), 0u);
  const SlicePlan gate_up = Plan(kU8, {128, 5760, 90, 16}, On(1, Shard{15, 16, 64, 0, false}));
  EXPECT_EQ(gate_up.shape(), (Shape{128, 0, 90, 16}));
}

TEST(ShardTable, GptOssGateUpAt8Has768RowsARank) {
  for (uint32_t rank = 0; rank < 7; ++rank) {
    const SlicePlan plan = Plan(kU8, {128, 5760, 90, 16}, On(1, Shard{rank, 8, 64, 0, false}));
    EXPECT_EQ(plan.shape(), (Shape{128, 768, 90, 16}));
    EXPECT_EQ(plan.offset_bytes(), rank * 768u * 90 * 16);
    EXPECT_EQ(plan.run_bytes(), 768u * 90 * 16);
  }
  // 90 blocks leave 6 of 12 to the last rank.
  const SlicePlan last = Plan(kU8, {128, 5760, 90, 16}, On(1, Shard{7, 8, 64, 0, false}));
  EXPECT_EQ(last.shape(), (Shape{128, 384, 90, 16}));
}

// Experts stacked in one tensor: rank r of 8 has experts r, r + 8, ...
TEST(ShardTable, DeepSeekV3RoundRobinExpertsAreAStep) {
  const Shape shape = {256, 2048, 7168};
  std::vector<int> owners(256, 0);
  for (int64_t rank = 0; rank < 8; ++rank) {
    SCOPED_TRACE("rank " + std::to_string(rank));
    const auto plan =
        std::make_shared<const SlicePlan>(Plan(kF8, shape, {DimRange{rank, kNone, 8}}));
    EXPECT_EQ(plan->shape(), (Shape{32, 2048, 7168}));
    EXPECT_EQ(plan->run_bytes(), 2048u * 7168);
    ChunkCursor cursor(plan, 0, plan->size_bytes());
    for (int64_t i = 0; i < 32; ++i) {
      const ChunkCursor::Run run = cursor.NextRun(~uint64_t{0});
      EXPECT_EQ(run.offset_bytes, static_cast<uint64_t>(rank + 8 * i) * 2048 * 7168);
      EXPECT_EQ(run.size_bytes, 2048u * 7168);
      ++owners[run.offset_bytes / (2048 * 7168)];
      cursor.Skip(run.size_bytes);
    }
  }
  EXPECT_EQ(owners, std::vector<int>(256, 1));
}

// A fused tensor: each rank's part of the queries, of the keys and of the values.
std::vector<Rows> FusedRows(const std::vector<int64_t>& sizes, int64_t rank, int64_t count) {
  std::vector<Rows> rows;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    rows.push_back({begin + size / count * rank, begin + size / count * (rank + 1)});
    begin += size;
  }
  return rows;
}

DimRanges ListOf(const std::vector<Rows>& rows) {
  DimRanges list;
  for (const Rows& part : rows) list.ranges.push_back({part.start, part.stop, kNone});
  return list;
}

// Phi-3-medium's qkv_proj: 40 heads and 10 + 10 KV heads of 128, each row 10240 bytes.
TEST(ShardTable, Phi3FusedQkvIsAListOfThreeRuns) {
  const Shape shape = {5120 + 1280 + 1280, 5120};
  std::vector<int> owners(shape[0], 0);
  for (int64_t rank = 0; rank < 2; ++rank) {
    SCOPED_TRACE("rank " + std::to_string(rank));
    const auto rows = FusedRows({5120, 1280, 1280}, rank, 2);
    const auto plan = std::make_shared<const SlicePlan>(Plan(kBF16, shape, On(0, ListOf(rows))));
    EXPECT_EQ(plan->shape(), (Shape{2560 + 640 + 640, 5120}));
    ChunkCursor cursor(plan, 0, plan->size_bytes());
    for (const Rows& part : rows) {
      const ChunkCursor::Run run = cursor.NextRun(~uint64_t{0});
      EXPECT_EQ(run.offset_bytes, static_cast<uint64_t>(part.start) * 10240);
      EXPECT_EQ(run.size_bytes, static_cast<uint64_t>(part.stop - part.start) * 10240);
      for (int64_t row = part.start; row < part.stop; ++row) ++owners[row];
      cursor.Skip(run.size_bytes);
    }
    EXPECT_EQ(cursor.remaining_bytes(), 0u);
  }
  EXPECT_EQ(owners, std::vector<int>(shape[0], 1));
}

// GPT-2's c_attn: 768 columns each of queries, keys and values, in every one of 768 rows.
TEST(ShardTable, Gpt2FusedQkvOnTheInnerDimensionIsThreeRunsARow) {
  const Shape shape = {768, 2304};
  for (const int64_t count : {2, 4}) {
    std::vector<int> owners(shape[1], 0);
    for (int64_t rank = 0; rank < count; ++rank) {
      SCOPED_TRACE("rank " + std::to_string(rank) + " of " + std::to_string(count));
      const auto rows = FusedRows({768, 768, 768}, rank, count);
      const auto plan =
          std::make_shared<const SlicePlan>(Plan(Dtype::kF32, shape, On(1, ListOf(rows))));
      EXPECT_EQ(plan->shape(), (Shape{768, 2304 / static_cast<uint64_t>(count)}));
      ChunkCursor cursor(plan, 0, plan->size_bytes());
      for (uint64_t row = 0; row < 768; ++row) {
        for (const Rows& part : rows) {
          const ChunkCursor::Run run = cursor.NextRun(~uint64_t{0});
          ASSERT_EQ(run.offset_bytes, (row * 2304 + static_cast<uint64_t>(part.start)) * 4);
          ASSERT_EQ(run.size_bytes, static_cast<uint64_t>(part.stop - part.start) * 4);
          cursor.Skip(run.size_bytes);
        }
      }
      for (const Rows& part : rows) {
        for (int64_t column = part.start; column < part.stop; ++column) ++owners[column];
      }
    }
    EXPECT_EQ(owners, std::vector<int>(shape[1], 1));
  }
}

}  // namespace
}  // namespace tensord
