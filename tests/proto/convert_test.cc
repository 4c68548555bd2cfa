#include "proto/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "src/error.h"

namespace tensord {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

TEST(Reasons, HaveTheWiresNames) {
  for (int i = 0; i < kNumErrorReasons; ++i) {
    EXPECT_EQ(std::string(ErrorReasonName(static_cast<ErrorReason>(i))),
              v1::ErrorReason_Name(static_cast<v1::ErrorReason>(i)));
  }
}

// ---- Slices ----

v1::Dims EveryKind() {
  v1::Dims dims;
  dims.add_dims()->set_index(-3);
  dims.add_dims()->mutable_range();
  v1::DimRange& range = *dims.add_dims()->mutable_range();
  range.set_start(INT64_MIN);
  range.set_stop(0);
  range.set_step(-2);
  v1::DimRanges& ranges = *dims.add_dims()->mutable_ranges();
  ranges.add_ranges()->set_stop(5);
  ranges.add_ranges();
  v1::Shard& shard = *dims.add_dims()->mutable_shard();
  shard.set_index(1);
  shard.set_count(4);
  shard.set_multiple(128);
  shard.set_padded_size(1ull << 40);
  shard.set_allow_uneven(true);
  dims.add_dims()->mutable_ranges();
  return dims;
}

TEST(SliceFromProto, KeepsEveryFieldAndItsAbsence) {
  const auto slice = SliceFromProto(EveryKind());
  ASSERT_TRUE(slice.ok()) << slice.status();
  EXPECT_FALSE(slice->ellipsis);
  ASSERT_EQ(slice->dims.size(), 6u);
  EXPECT_EQ(std::get<DimIndex>(slice->dims[0]).index, -3);
  EXPECT_FALSE(std::get<DimRange>(slice->dims[1]).start);
  EXPECT_FALSE(std::get<DimRange>(slice->dims[1]).stop);
  EXPECT_FALSE(std::get<DimRange>(slice->dims[1]).step);
  EXPECT_EQ(std::get<DimRange>(slice->dims[2]).start, INT64_MIN);
  EXPECT_EQ(std::get<DimRange>(slice->dims[2]).stop, 0);
  EXPECT_EQ(std::get<DimRange>(slice->dims[2]).step, -2);
  const auto& ranges = std::get<DimRanges>(slice->dims[3]).ranges;
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].stop, 5);
  EXPECT_FALSE(ranges[1].stop);
  const auto& shard = std::get<Shard>(slice->dims[4]);
  EXPECT_EQ(shard.index, 1u);
  EXPECT_EQ(shard.count, 4u);
  EXPECT_EQ(shard.multiple, 128u);
  EXPECT_EQ(shard.padded_size, 1ull << 40);
  EXPECT_TRUE(shard.allow_uneven);
  EXPECT_TRUE(std::get<DimRanges>(slice->dims[5]).ranges.empty());
}

TEST(SliceFromProto, GoesBackToTheSameMessage) {
  const v1::Dims dims = EveryKind();
  EXPECT_TRUE(MessageDifferencer::Equals(DimsToProto(*SliceFromProto(dims)), dims));
  EXPECT_TRUE(SliceFromProto({})->dims.empty());
}

TEST(SliceFromProto, RefusesADimensionThatSaysNothing) {
  v1::Dims dims;
  dims.add_dims()->set_index(0);
  dims.add_dims();
  const absl::Status status = SliceFromProto(dims).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadSlice);
  EXPECT_THAT(std::string(status.message()), HasSubstr("dims[1]"));
}

TEST(SliceFromProto, CountZeroIsNotMistakenForOne) {
  v1::Dims dims;
  dims.add_dims()->mutable_shard();
  EXPECT_EQ(std::get<Shard>(SliceFromProto(dims)->dims[0]).count, 0u);
}

// ---- Ranges ----

struct RangeRow {
  std::string name;
  uint64_t offset;
  std::optional<uint64_t> length;
  std::optional<uint64_t> end;  // Of 10 bytes; nullopt: an error.
};

class Range : public testing::TestWithParam<RangeRow> {};

TEST_P(Range, ResolvesOrIsRefused) {
  v1::ByteRange range;
  range.set_offset(GetParam().offset);
  if (GetParam().length) range.set_length(*GetParam().length);
  const auto interval = ResolveRange(range, 10);
  if (GetParam().end) {
    ASSERT_TRUE(interval.ok()) << interval.status();
    EXPECT_EQ(interval->begin, GetParam().offset);
    EXPECT_EQ(interval->end, *GetParam().end);
  } else {
    EXPECT_EQ(ReasonOf(interval.status()), ErrorReason::kRangeOutOfBounds);
    EXPECT_THAT(std::string(interval.status().message()), HasSubstr("10"));
    EXPECT_THAT(std::string(interval.status().message()),
                HasSubstr(std::to_string(GetParam().offset)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Range,
    testing::Values(RangeRow{"absent", 0, {}, 10}, RangeRow{"to_the_end", 3, {}, 10},
                    RangeRow{"at_the_end", 10, {}, 10}, RangeRow{"nothing_at_the_end", 10, 0, 10},
                    RangeRow{"nothing", 4, 0, 4}, RangeRow{"inside", 4, 5, 9},
                    RangeRow{"exactly", 4, 6, 10}, RangeRow{"one_too_many", 4, 7, {}},
                    RangeRow{"behind", 11, {}, {}}, RangeRow{"nothing_behind", 11, 0, {}},
                    RangeRow{"wraps", 4, UINT64_MAX - 1, {}},
                    RangeRow{"huge", UINT64_MAX, UINT64_MAX, {}}),
    [](const auto& row) { return row.param.name; });

// ---- Tensors ----

v1::TensorInfo Tensor(const std::string& dtype, const std::vector<uint64_t>& shape,
                      uint64_t size_bytes) {
  v1::TensorInfo tensor;
  tensor.set_name("w");
  tensor.set_dtype(dtype);
  for (const uint64_t extent : shape) tensor.add_shape(extent);
  tensor.set_size_bytes(size_bytes);
  tensor.set_file("f");
  tensor.set_offset_bytes(8);
  return tensor;
}

TEST(TensorFromProto, KeepsEveryField) {
  const auto info = TensorFromProto(Tensor("BF16", {2, 3}, 12));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, "w");
  EXPECT_EQ(info->dtype, Dtype::kBF16);
  EXPECT_EQ(info->shape, (Shape{2, 3}));
  EXPECT_EQ(info->size_bytes, 12u);
  EXPECT_EQ(info->file, "f");
  EXPECT_EQ(info->offset_bytes, 8u);
  EXPECT_TRUE(TensorFromProto(Tensor("F32", {}, 4)).ok());
  EXPECT_TRUE(TensorFromProto(Tensor("F32", {0, 1ull << 63, 4}, 0)).ok());
  EXPECT_TRUE(TensorFromProto(Tensor("F6_E2M3", {4}, 3)).ok());
}

TEST(TensorFromProto, DistrustsTheServer) {
  for (const auto& tensor :
       {Tensor("F33", {1}, 4), Tensor("F32", {2}, 4), Tensor("F32", {1ull << 62, 4}, 0),
        Tensor("F6_E2M3", {3}, 2), Tensor("F4", {}, 0), Tensor("", {}, 0)}) {
    const absl::Status status = TensorFromProto(tensor).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << tensor.ShortDebugString();
    EXPECT_THAT(std::string(status.message()), HasSubstr("tensor \"w\""));
  }
}

// ---- Unknown fields ----

void AddUnknown(google::protobuf::Message& message, int number) {
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(number, 1);
}

v1::GetTensorsRequest FullRequest() {
  v1::GetTensorsRequest request;
  for (int i = 0; i < 4; ++i) {
    v1::Selection& selection = *request.add_selections();
    selection.set_tensor("w");
    *selection.mutable_dims() = EveryKind();
    selection.mutable_range()->set_offset(1);
  }
  request.set_order(v1::RESULT_ORDER_REQUEST);
  return request;
}

// Over the wire, as the server sees it.
absl::Status Check(const google::protobuf::Message& request) {
  std::unique_ptr<google::protobuf::Message> received(request.New());
  EXPECT_TRUE(received->ParseFromString(request.SerializeAsString()));
  return CheckNoUnknownFields(*received);
}

TEST(UnknownFields, AreNotInRequestsOfToday) {
  EXPECT_TRUE(Check(FullRequest()).ok());
  EXPECT_TRUE(Check(v1::GetTensorRequest()).ok());
  EXPECT_TRUE(Check(v1::GetSliceRequest()).ok());
  EXPECT_TRUE(Check(v1::ReadFileRequest()).ok());
}

TEST(UnknownFields, AreNamedAtTheTop) {
  v1::GetTensorRequest request;
  AddUnknown(request, 99);
  const absl::Status status = Check(request);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnknownField);
  EXPECT_EQ(ErrorDetails(status).at("field"), "field 99");
  EXPECT_THAT(std::string(status.message()), HasSubstr("field 99 of GetTensorRequest"));
}

TEST(UnknownFields, AreNamedByTheirPath) {
  const auto path_of = [](const v1::GetTensorsRequest& request) {
    return ErrorDetails(Check(request))["field"];
  };
  v1::GetTensorsRequest request = FullRequest();
  AddUnknown(*request.mutable_selections(3)->mutable_dims()->mutable_dims(0), 9);
  EXPECT_EQ(path_of(request), "selections[3].dims.dims[0]: field 9");
  EXPECT_THAT(std::string(Check(request).message()),
              HasSubstr("selections[3].dims.dims[0]: field 9 of Dim is not known"));
  request = FullRequest();
  AddUnknown(*request.mutable_selections(1)->mutable_range(), 3);
  EXPECT_EQ(path_of(request), "selections[1].range: field 3");
  request = FullRequest();
  auto& ranges = *request.mutable_selections(0)->mutable_dims()->mutable_dims(3)->mutable_ranges();
  AddUnknown(*ranges.mutable_ranges(1), 4);
  EXPECT_EQ(path_of(request), "selections[0].dims.dims[3].ranges.ranges[1]: field 4");
  request = FullRequest();
  AddUnknown(*request.mutable_selections(2), 7);
  EXPECT_EQ(path_of(request), "selections[2]: field 7");
}

TEST(UnknownFields, MakeADimensionOfANewKindUnreadable) {
  v1::GetSliceRequest request;
  AddUnknown(*request.mutable_dims()->add_dims(), 5);  // A kind of Dim that is yet to come.
  EXPECT_EQ(ErrorDetails(Check(request))["field"], "dims.dims[0]: field 5");
}

TEST(UnknownFields, EnumValuesOfNewerClientsAreRefused) {
  v1::GetTensorsRequest request;
  request.set_order(static_cast<v1::ResultOrder>(7));
  const absl::Status status = Check(request);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadRequest);
  EXPECT_EQ(status.message(), "order: 7 is no value of ResultOrder");
}

}  // namespace
}  // namespace tensord
