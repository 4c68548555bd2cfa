// What the requests say that are written by hand, as protobuf reads them.
#include "client/batch_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/error.h"

namespace tensord {
namespace {

v1::GetTensorsRequest Common() {
  v1::GetTensorsRequest request;
  request.set_model("m");
  request.set_version("v");
  request.set_checksum(true);
  return request;
}

v1::GetTensorsRequest Parsed(const BatchRequest& request) {
  v1::GetTensorsRequest parsed;
  EXPECT_TRUE(parsed.ParseFromString(request.bytes()));
  return parsed;
}

TEST(BatchRequest, KeepsTheCommonFields) {
  BatchRequest request(Common());
  const Slice whole;
  ASSERT_TRUE(*request.Add({"t", false, &whole, nullptr}));
  const v1::GetTensorsRequest parsed = Parsed(request);
  EXPECT_EQ(parsed.model(), "m");
  EXPECT_EQ(parsed.version(), "v");
  EXPECT_TRUE(parsed.checksum());
}

TEST(BatchRequest, WritesTargetsAndRanges) {
  BatchRequest request(Common());
  const Slice whole;
  const ByteRange all;
  const ByteRange some{uint64_t{1} << 40, 0};
  ASSERT_TRUE(*request.Add({"t", false, &whole, &some}));
  ASSERT_TRUE(*request.Add({"*", true, &whole, &all}));
  ASSERT_TRUE(*request.Add({"", false, &whole, nullptr}));
  const v1::GetTensorsRequest parsed = Parsed(request);
  ASSERT_EQ(parsed.selections_size(), 3);
  EXPECT_EQ(parsed.selections(0).tensor(), "t");
  EXPECT_EQ(parsed.selections(0).range().offset(), uint64_t{1} << 40);
  EXPECT_TRUE(parsed.selections(0).range().has_length());
  EXPECT_EQ(parsed.selections(0).range().length(), 0U);
  EXPECT_EQ(parsed.selections(1).pattern(), "*");
  EXPECT_TRUE(parsed.selections(1).has_range());
  EXPECT_FALSE(parsed.selections(1).range().has_length());
  EXPECT_EQ(parsed.selections(2).target_case(), v1::Selection::kTensor);
  EXPECT_FALSE(parsed.selections(2).has_range());
}

TEST(BatchRequest, EachSelectionHasItsOwnSlice) {
  BatchRequest request(Common());
  const Slice whole;
  Slice shard;
  shard.dims = {Shard{1, 4, 0, 0, true}};
  Slice other_shard;
  other_shard.dims = {Shard{2, 4, 0, 0, true}};
  Slice list;
  list.dims = {DimRanges{{{0, 2, {}}, {6, 8, {}}}}, DimIndex{-1}};
  const Slice text = *Slice::Parse("[..., :64]");
  const std::vector<const Slice*> slices = {&whole, &shard, &shard, &other_shard,
                                            &list,  &text,  &whole};
  for (const Slice* slice : slices) {
    ASSERT_TRUE(*request.Add({"t", false, slice, nullptr}));
  }
  const v1::GetTensorsRequest parsed = Parsed(request);
  EXPECT_EQ(parsed.selections(0).index_case(), v1::Selection::INDEX_NOT_SET);
  EXPECT_EQ(parsed.selections(1).dims().dims(0).shard().index(), 1U);
  EXPECT_EQ(parsed.selections(2).dims().dims(0).shard().index(), 1U);
  EXPECT_EQ(parsed.selections(3).dims().dims(0).shard().index(), 2U);
  EXPECT_EQ(parsed.selections(4).dims().dims(0).ranges().ranges(1).start(), 6);
  EXPECT_EQ(parsed.selections(4).dims().dims(1).index(), -1);
  EXPECT_EQ(parsed.selections(5).slice(), "[..., :64]");
  EXPECT_EQ(parsed.selections(6).index_case(), v1::Selection::INDEX_NOT_SET);
}

TEST(BatchRequest, RefusesAnEllipsisBesideAShard) {
  BatchRequest request(Common());
  Slice slice;
  slice.dims = {Shard{0, 2, 0, 0, false}};
  slice.ellipsis = 0;
  EXPECT_EQ(ReasonOf(request.Add({"t", false, &slice, nullptr}).status()), ErrorReason::kBadSlice);
  EXPECT_EQ(Parsed(request).selections_size(), 0);
}

TEST(BatchRequest, IsFullAtItsLimit) {
  BatchRequest request(Common());
  const Slice whole;
  const std::string name(1000, 'n');
  size_t count = 0;
  while (*request.Add({name, false, &whole, nullptr})) ++count;
  EXPECT_EQ(request.num_selections(), count);
  EXPECT_EQ(static_cast<size_t>(Parsed(request).selections_size()), count);
  EXPECT_LE(request.bytes().size(), kMaxRequestBytes);
  EXPECT_GT(request.bytes().size(), kMaxRequestBytes - 1010);
}

TEST(BatchRequest, TakesAFirstSelectionOfAnyLength) {
  BatchRequest request(Common());
  const Slice whole;
  ASSERT_TRUE(*request.Add({std::string(2 * kMaxRequestBytes, 'n'), false, &whole, nullptr}));
  EXPECT_FALSE(*request.Add({"t", false, &whole, nullptr}));
  EXPECT_EQ(Parsed(request).selections_size(), 1);
}

}  // namespace
}  // namespace tensord
