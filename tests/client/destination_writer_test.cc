#include "client/destination_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/client/pieces.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

TEST(DestinationWriter, DenseNamesBothSizes) {
  std::vector<std::byte> memory(5);
  const auto writer = DestinationWriter::Dense(absl::MakeSpan(memory), 4);
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr("has 5 bytes, the result 4"));
}

struct BadRow {
  std::string name;
  Dtype dtype;
  Shape shape;
  std::vector<uint64_t> strides;
  std::string error;
};

class BadStrides : public ::testing::TestWithParam<BadRow> {};

TEST_P(BadStrides, AreRefused) {
  std::vector<std::byte> memory(100);
  const auto writer = DestinationWriter::Strided(
      Destination(absl::MakeSpan(memory), GetParam().strides), GetParam().dtype, GetParam().shape);
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadStrides,
    ::testing::Values(
        BadRow{"too_few", Dtype::kU8, {2, 3}, {3}, "one is wanted for each dimension"},
        BadRow{"too_many", Dtype::kU8, {}, {1}, "one is wanted for each dimension"},
        BadRow{"out_of_memory", Dtype::kU8, {2, 3}, {98, 1}, "lead out of its 100 bytes"},
        BadRow{"wraps", Dtype::kU8, {3, 3}, {uint64_t{1} << 63, 1}, "lead out"},
        BadRow{"rows_overlap", Dtype::kU16, {2, 3}, {5, 2}, "share bytes"},
        BadRow{"elements_overlap", Dtype::kU16, {3}, {1}, "share bytes"},
        BadRow{"zero", Dtype::kU8, {3}, {0}, "share bytes"},
        BadRow{"sub_byte_stride", Dtype::kF4, {2, 4}, {8, 2}, "last must be 1"},
        BadRow{"sub_byte_row", Dtype::kF4, {2, 3}, {8, 1}, "not whole bytes"}),
    [](const ::testing::TestParamInfo<BadRow>& row) { return row.param.name; });

// The oracle: each byte placed by itself.
std::string PlaceByteByByte(const std::string& result, Dtype dtype, const Shape& shape,
                            const std::vector<uint64_t>& strides, size_t memory_bytes) {
  const uint64_t element = BitsPerElement(dtype) / 8;
  std::string memory(memory_bytes, '.');
  for (uint64_t i = 0; i < result.size(); ++i) {
    uint64_t index = i / element;
    uint64_t address = i % element;
    for (size_t d = shape.size(); d-- > 0;) {
      address += index % shape[d] * strides[d];
      index /= shape[d];
    }
    memory[address] = result[i];
  }
  return memory;
}

TEST(DestinationWriter, PlacesRandomShapesAsByteByByte) {
  std::mt19937 random(1);
  const auto upto = [&](uint64_t n) {
    return std::uniform_int_distribution<uint64_t>(0, n)(random);
  };
  for (int round = 0; round < 3000; ++round) {
    const Dtype dtype = std::vector{Dtype::kU8, Dtype::kBF16, Dtype::kF32, Dtype::kF64}[upto(3)];
    Shape shape(upto(4));
    for (uint64_t& extent : shape) extent = 1 + upto(4);
    // Dimensions in any nesting, each with perhaps a gap.
    std::vector<size_t> order(shape.size());
    std::iota(order.begin(), order.end(), 0);
    if (upto(1) == 0) std::shuffle(order.begin(), order.end(), random);
    std::vector<uint64_t> strides(shape.size());
    uint64_t span = BitsPerElement(dtype) / 8;
    uint64_t size = span;
    for (size_t i = order.size(); i-- > 0;) {
      strides[order[i]] = span + (upto(1) == 0 ? 0 : upto(3));
      span += (shape[order[i]] - 1) * strides[order[i]];
      size *= shape[order[i]];
    }
    if (shape.empty()) continue;  // No strides means dense.
    std::string result(size, 0);
    for (char& byte : result) byte = static_cast<char>('a' + upto(25));

    std::string memory(span + 2, '.');
    auto writer = DestinationWriter::Strided(
        Destination(absl::MakeSpan(reinterpret_cast<std::byte*>(memory.data()), span), strides),
        dtype, shape);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_EQ(writer->size_bytes(), size);
    for (uint64_t offset = 0; offset < size;) {
      const uint64_t length = 1 + upto(size - offset - 1);
      const Pieces pieces(result.substr(offset, length), upto(5));
      writer->Write(offset, pieces.cursor());
      offset += length;
    }
    ASSERT_EQ(memory, PlaceByteByByte(result, dtype, shape, strides, span + 2));
  }
}

TEST(DestinationWriter, PacksSubByteRows) {
  std::string memory(8, '.');
  auto writer = DestinationWriter::Strided(
      Destination(absl::MakeSpan(reinterpret_cast<std::byte*>(memory.data()), 8), {4, 1}),
      Dtype::kF4, {2, 4});
  ASSERT_TRUE(writer.ok()) << writer.status();
  writer->Write(0, Pieces("abcd", 0).cursor());
  EXPECT_EQ(memory, "ab..cd..");
}

TEST(DestinationWriter, AnEmptyResultNeedsNoMemory) {
  const auto writer = DestinationWriter::Strided(Destination({}, {100, 1}), Dtype::kU8, {0, 3});
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(writer->size_bytes(), 0);
}

}  // namespace
}  // namespace tensord
