#include "server/chunk_encoder.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

std::string EncodedInfo(const StreamInfoView& info) {
  std::string bytes(StreamInfoSize(info), '\x55');
  EncodeStreamInfo(info, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  return bytes;
}

// A whole part: prefix, checksum and data.
std::string EncodedPart(TensorPartView part, uint32_t crc, const std::string& data) {
  part.data_bytes = data.size();
  std::string bytes(PartPrefixSize(part), '\x55');
  const auto checksum =
      EncodePartPrefix(part, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  EXPECT_EQ(checksum.size(), part.has_crc32c ? 4 : 0);
  if (part.has_crc32c) EncodeCrc32c(crc, checksum);
  return bytes + data;
}

// The generated code is the oracle: both its parser and, because it too writes fields in order of
// number, its bytes.
void ExpectSame(const std::string& encoded, const v1::TensorChunk& wanted) {
  v1::TensorChunk parsed;
  ASSERT_TRUE(parsed.ParseFromString(encoded));
  EXPECT_EQ(parsed.DebugString(), wanted.DebugString());
  EXPECT_EQ(encoded, wanted.SerializeAsString());
}

TEST(ChunkEncoder, InfoIsWhatTheGeneratedCodeWrites) {
  v1::TensorChunk wanted;
  wanted.mutable_info()->set_model("llm/gpt2");
  wanted.mutable_info()->set_version("ea498a5d57edfeeb");
  wanted.mutable_info()->set_num_results(91991);
  wanted.mutable_info()->set_size_bytes(uint64_t{688} << 30);
  ExpectSame(EncodedInfo({"llm/gpt2", "ea498a5d57edfeeb", 91991, uint64_t{688} << 30}), wanted);
}

TEST(ChunkEncoder, EmptyInfoIsAnEmptyMessageAndNotAbsent) {
  v1::TensorChunk wanted;
  wanted.mutable_info();
  ExpectSame(EncodedInfo({}), wanted);
}

TEST(ChunkEncoder, PartWithEverything) {
  const std::vector<uint64_t> shape = {0, 1, 127, 128, std::numeric_limits<uint64_t>::max()};
  const std::string name(300, 'n');
  TensorPartView part;
  part.result = 300;
  const std::string layout = EncodeTensorLayout("F8_E4M3", shape, uint64_t{1} << 40);
  part.header = TensorHeaderView{layout, name, 7};
  part.offset_bytes = (uint64_t{1} << 40) + 5;
  part.has_crc32c = true;
  part.error = ResultErrorView{15, 15, "the file has changed"};

  v1::TensorChunk wanted;
  v1::TensorPart& expected = *wanted.add_parts();
  expected.set_result(300);
  expected.mutable_header()->set_dtype("F8_E4M3");
  for (const uint64_t extent : shape) expected.mutable_header()->add_shape(extent);
  expected.mutable_header()->set_size_bytes(uint64_t{1} << 40);
  expected.mutable_header()->set_tensor(name);
  expected.mutable_header()->set_selection(7);
  expected.set_offset_bytes((uint64_t{1} << 40) + 5);
  expected.set_crc32c(0xE3069283);
  expected.mutable_error()->set_code(15);
  expected.mutable_error()->set_reason(v1::FILE_CHANGED);
  expected.mutable_error()->set_message("the file has changed");
  expected.set_data(std::string(5000, 'd'));
  ExpectSame(EncodedPart(part, 0xE3069283, std::string(5000, 'd')), wanted);
}

TEST(ChunkEncoder, ScalarHeaderAndNoDataLeaveFieldsOut) {
  TensorPartView part;
  const std::string layout = EncodeTensorLayout("F32", {}, 4);
  part.header = TensorHeaderView{layout, "s", 0};
  v1::TensorChunk wanted;
  v1::TensorHeader& header = *wanted.add_parts()->mutable_header();
  header.set_dtype("F32");
  header.set_size_bytes(4);
  header.set_tensor("s");
  ExpectSame(EncodedPart(part, 0, ""), wanted);
}

TEST(ChunkEncoder, ZeroChecksumIsPresent) {
  TensorPartView part;
  part.has_crc32c = true;
  v1::TensorChunk wanted;
  wanted.add_parts()->set_crc32c(0);
  ExpectSame(EncodedPart(part, 0, ""), wanted);
}

TEST(ChunkEncoder, NegativeCodeTakesTenBytesAsInProtobuf) {
  TensorPartView part;
  part.error = ResultErrorView{-1, 0, ""};
  v1::TensorChunk wanted;
  wanted.add_parts()->mutable_error()->set_code(-1);
  ExpectSame(EncodedPart(part, 0, ""), wanted);
}

// Lengths around the sizes at which a varint grows.
class DataSize : public testing::TestWithParam<size_t> {};

TEST_P(DataSize, GivesExactLengths) {
  const std::string data(GetParam(), 'x');
  TensorPartView part;
  part.result = 1;
  v1::TensorChunk wanted;
  wanted.add_parts()->set_result(1);
  wanted.mutable_parts(0)->set_data(data);
  ExpectSame(EncodedPart(part, 0, data), wanted);
}

INSTANTIATE_TEST_SUITE_P(ChunkEncoder, DataSize,
                         testing::Values(0, 1, 121, 122, 123, 124, 127, 128, 16376, 16383, 16384,
                                         2097145, 2097151, 2097152, 4128768));

TEST(ChunkEncoder, InfoAndPartsFollowEachOther) {
  TensorPartView part;
  part.result = 2;
  const std::string encoded =
      EncodedInfo({"m", "v", 2, 6}) + EncodedPart(part, 0, "abc") + EncodedPart(part, 0, "def");
  v1::TensorChunk parsed;
  ASSERT_TRUE(parsed.ParseFromString(encoded));
  ASSERT_EQ(parsed.parts_size(), 2);
  EXPECT_EQ(parsed.info().num_results(), 2);
  EXPECT_EQ(parsed.parts(0).data(), "abc");
  EXPECT_EQ(parsed.parts(1).data(), "def");
}

}  // namespace
}  // namespace tensord
