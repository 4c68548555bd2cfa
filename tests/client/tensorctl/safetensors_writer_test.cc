#include "client/tensorctl/safetensors_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/safetensors_header.h"
#include "tensord/shape.h"

namespace tensord::ctl {
namespace {

struct TensorRow {
  std::string label;
  std::string name;
  Dtype dtype;
  Shape shape;
  uint64_t size_bytes;
};

class SafetensorsWriterTest : public testing::TestWithParam<TensorRow> {};

TEST_P(SafetensorsWriterTest, IsReadBackByOurParser) {
  const TensorRow& row = GetParam();
  const std::string begin = SafetensorsFileHeader(row.name, row.dtype, row.shape, row.size_bytes);
  ASSERT_EQ(begin.size() % 8, 0u);
  const auto header = SafetensorsHeader::Parse(begin.substr(8), begin.size() + row.size_bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  ASSERT_EQ(header->num_tensors(), 1u);
  const auto tensor = header->tensor(0);
  EXPECT_EQ(tensor.name, row.name);
  EXPECT_EQ(tensor.dtype, row.dtype);
  EXPECT_EQ(tensor.shape, absl::MakeConstSpan(row.shape));
  EXPECT_EQ(tensor.offset_bytes, begin.size());
  EXPECT_EQ(tensor.size_bytes, row.size_bytes);
  EXPECT_FALSE(header->has_metadata());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SafetensorsWriterTest,
    testing::Values(
        TensorRow{"Plain", "wte.weight", Dtype::kF32, {3, 4}, 48},
        TensorRow{"Scalar", "alpha", Dtype::kBF16, {}, 2},
        TensorRow{"Empty", "e", Dtype::kI64, {0, 7}, 0},
        TensorRow{"EmptyName", "", Dtype::kU8, {1}, 1},
        TensorRow{"SubByte", "blocks", Dtype::kF4, {2, 3}, 3},
        TensorRow{"SixBits", "six", Dtype::kF6E2M3, {4}, 3},
        TensorRow{"Hostile", std::string("a\"b\\c\n\x1b[31m\0 \u2028", 16), Dtype::kU8, {2}, 2}),
    [](const auto& row) { return row.param.label; });

TEST(SafetensorsWriter, LengthCountsThePadding) {
  const std::string begin = SafetensorsFileHeader("t", Dtype::kU8, {1}, 1);
  EXPECT_EQ(static_cast<size_t>(static_cast<uint8_t>(begin[0])), begin.size() - 8);
  EXPECT_EQ(begin.substr(1, 7), std::string(7, '\0'));
  const std::string json = R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  EXPECT_EQ(begin.substr(8), json + std::string((8 - json.size() % 8) % 8, ' '));
}

}  // namespace
}  // namespace tensord::ctl
