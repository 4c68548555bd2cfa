#include "server/peek_tensor.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

class PeekTensorTest : public StoreTest {
 protected:
  static v1::PeekTensorRequest For(const std::string& tensor, const std::string& slice = "-") {
    v1::PeekTensorRequest request;
    request.set_model("m");
    request.set_tensor(tensor);
    if (slice != "-") request.set_slice(slice);
    return request;
  }

  // int16 values 0, 1, 2, ...
  static TestTensor Counting(const std::string& name, const Shape& shape) {
    uint64_t count = 1;
    for (const uint64_t extent : shape) count *= extent;
    std::string bytes;
    for (uint64_t i = 0; i < count; ++i) {
      bytes.push_back(static_cast<char>(i));
      bytes.push_back(static_cast<char>(i >> 8));
    }
    return {name, Dtype::kI16, shape, bytes};
  }

  // Of a store with the one tensor.
  absl::StatusOr<v1::PeekTensorResponse> Peek(const TestTensor& tensor,
                                              const v1::PeekTensorRequest& request) {
    Write("m.safetensors", {{"before", Dtype::kU8, {3}, "abc"}, tensor});
    return PeekTensor(*Load(), request);
  }
};

TEST_F(PeekTensorTest, ShowsACornerByDefault) {
  const auto response = Peek(Counting("w", {2, 3, 10, 20}), For("w"));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model(), "m");
  EXPECT_FALSE(response->version().empty());
  EXPECT_EQ(response->tensor().name(), "w");
  EXPECT_THAT(response->shape(), ElementsAre(1, 1, 8, 8));
  ASSERT_THAT(response->ints(), SizeIs(64));
  for (int row = 0; row < 8; ++row) {
    for (int column = 0; column < 8; ++column) {
      EXPECT_EQ(response->ints(row * 8 + column), row * 20 + column);
    }
  }
  EXPECT_EQ(response->num_values(), 64u);
  EXPECT_FALSE(response->truncated());
  EXPECT_THAT(response->doubles(), SizeIs(0));
  EXPECT_THAT(response->uints(), SizeIs(0));
}

TEST_F(PeekTensorTest, CornersOfSmallTensorsAreWhole) {
  EXPECT_THAT(Peek(Counting("w", {}), For("w"))->shape(), SizeIs(0));
  EXPECT_THAT(Peek(Counting("w", {}), For("w"))->ints(), ElementsAre(0));
  EXPECT_THAT(Peek(Counting("w", {3}), For("w"))->ints(), ElementsAre(0, 1, 2));
  EXPECT_THAT(Peek(Counting("w", {2, 2}), For("w"))->ints(), ElementsAre(0, 1, 2, 3));
  const auto empty = Peek(Counting("w", {0, 5}), For("w"));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(empty->shape(), ElementsAre(0, 5));
  EXPECT_EQ(empty->num_values(), 0u);
  EXPECT_FALSE(empty->truncated());
}

TEST_F(PeekTensorTest, ReadsTheSliceAskedFor) {
  const TestTensor tensor = Counting("w", {4, 5});
  EXPECT_THAT(Peek(tensor, For("w", "[1, ::-2]"))->ints(), ElementsAre(9, 7, 5));
  EXPECT_THAT(Peek(tensor, For("w", "[..., -1]"))->ints(), ElementsAre(4, 9, 14, 19));
  EXPECT_THAT(Peek(tensor, For("w", ""))->ints(), SizeIs(20));
  auto request = For("w");
  v1::Shard& shard = *request.mutable_dims()->add_dims()->mutable_shard();
  shard.set_index(1);
  shard.set_count(2);
  request.mutable_dims()->add_dims()->set_index(0);
  EXPECT_THAT(Peek(tensor, request)->ints(), ElementsAre(10, 15));
  EXPECT_THAT(Peek(tensor, request)->shape(), ElementsAre(2));
}

TEST_F(PeekTensorTest, MoreThanTheLimitIsCutAndSaid) {
  const TestTensor tensor = Counting("w", {100, 100});
  for (const uint32_t max : {0u, 4096u, 4097u, UINT32_MAX}) {
    auto request = For("w", "");
    request.set_max_values(max);
    const auto response = Peek(tensor, request);
    ASSERT_TRUE(response.ok());
    EXPECT_THAT(response->ints(), SizeIs(4096));
    EXPECT_EQ(response->ints(4095), 4095);
    EXPECT_EQ(response->num_values(), 10'000u);
    EXPECT_TRUE(response->truncated());
    EXPECT_THAT(response->shape(), ElementsAre(100, 100));
  }
  auto request = For("w", "[:, 3]");
  request.set_max_values(3);
  EXPECT_THAT(Peek(tensor, request)->ints(), ElementsAre(3, 103, 203));
  request.set_max_values(100);
  EXPECT_FALSE(Peek(tensor, request)->truncated());
}

TEST_F(PeekTensorTest, EveryDtypeFillsExactlyOneList) {
  for (int i = 0; i < kNumDtypes; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    const auto response = Peek({"w", dtype, {4, 4}, ""}, For("w"));
    ASSERT_TRUE(response.ok()) << response.status();
    const int factor = dtype == Dtype::kC64 ? 2 : 1;
    EXPECT_EQ(response->doubles_size() + response->ints_size() + response->uints_size(),
              16 * factor);
    EXPECT_EQ(
        (response->doubles_size() > 0) + (response->ints_size() > 0) + (response->uints_size() > 0),
        1);
    EXPECT_EQ(response->num_values(), 16u);
    EXPECT_EQ(response->tensor().dtype(), std::string(DtypeName(dtype)));
  }
}

TEST_F(PeekTensorTest, SubByteTensorsOfAnyShapeHaveACorner) {
  for (const Dtype dtype : {Dtype::kF4, Dtype::kF6E2M3, Dtype::kF6E3M2}) {
    for (const Shape& shape : std::vector<Shape>{
             {8}, {4, 3}, {16, 9}, {16, 17}, {8, 3, 5}, {4, 5, 1}, {1, 4}, {40, 1}, {3, 8, 7}}) {
      const auto response = Peek({"w", dtype, shape, ""}, For("w"));
      ASSERT_TRUE(response.ok()) << response.status();
      EXPECT_GT(response->doubles_size(), 0);
      EXPECT_EQ(response->num_values(), static_cast<uint64_t>(response->doubles_size()));
    }
  }
  // Three values of four bits end within a byte, which is no fault of the question.
  auto request = For("w", "");
  request.set_max_values(3);
  EXPECT_THAT(Peek({"w", Dtype::kF4, {4}, "\x21\x43"}, request)->doubles(),
              ElementsAre(0.5, 1, 1.5));
}

TEST_F(PeekTensorTest, AnUnknownFieldIsRefused) {
  v1::PeekTensorRequest request = For("w");
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(2047, 1);
  const auto response = Peek(Counting("w", {2}), request);
  EXPECT_EQ(ReasonOf(response.status()), ErrorReason::kUnknownField);
}

TEST_F(PeekTensorTest, ErrorsNameTheTensor) {
  const TestTensor tensor = Counting("w", {4, 5});
  EXPECT_THAT(Peek(tensor, For("w", "[9]")).status(),
              HasReason(ErrorReason::kIndexOutOfBounds, "tensor \"w\""));
  EXPECT_THAT(Peek(tensor, For("w", "[")).status(), HasReason(ErrorReason::kBadSlice, "\"w\""));
  EXPECT_THAT(Peek(tensor, For("w", "[0,0,0]")).status(), HasReason(ErrorReason::kBadSlice));
  EXPECT_THAT(Peek(tensor, For("x")).status(), HasReason(ErrorReason::kTensorNotFound, "x"));
  auto request = For("w");
  request.mutable_dims()->add_dims();
  EXPECT_THAT(Peek(tensor, request).status(), HasReason(ErrorReason::kBadSlice, "dims[0]"));
  request.mutable_dims()->mutable_dims(0)->mutable_shard()->set_count(3);
  EXPECT_THAT(Peek(tensor, request).status(), HasReason(ErrorReason::kUnevenShard));
  request = For("w");
  request.set_version("x");
  EXPECT_THAT(Peek(tensor, request).status(), HasReason(ErrorReason::kVersionChanged));
  request = For("w");
  request.set_model("y");
  EXPECT_THAT(Peek(tensor, request).status(), HasReason(ErrorReason::kModelNotFound));
}

TEST_F(PeekTensorTest, AFileThatChangedIsNeverRead) {
  Write("m.safetensors", {Counting("w", {1000})});
  const auto catalog = Load();
  ASSERT_TRUE(PeekTensor(*catalog, For("w")).ok());  // Mapped from now on.
  ASSERT_EQ(truncate(store_.Path("m.safetensors").c_str(), 100), 0);
  EXPECT_THAT(PeekTensor(*catalog, For("w")).status(),
              HasReason(ErrorReason::kFileChanged, "m.safetensors"));
}

TEST_F(PeekTensorTest, AFileReplacedByRenameIsReadAsItWas) {
  Write("m.safetensors", {Counting("w", {10})});
  const auto catalog = Load();
  const auto before = PeekTensor(*catalog, For("w"));
  ASSERT_TRUE(before.ok());
  Write("new", {{"w", Dtype::kI16, {10}, std::string(20, '\x7f')}});
  std::filesystem::rename(store_.Path("new"), store_.Path("m.safetensors"));
  const auto after = PeekTensor(*catalog, For("w"));
  if (after.ok()) {  // The mapping may have been given up since, and then the file is another.
    EXPECT_EQ(after->SerializeAsString(), before->SerializeAsString());
  } else {
    EXPECT_THAT(after.status(), HasReason(ErrorReason::kFileChanged));
  }
}

}  // namespace
}  // namespace tensord
