#include "client/chunk_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "src/crc32c.h"
#include "src/error.h"
#include "tensord/v1/tensord.pb.h"
#include "tests/client/pieces.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

constexpr size_t kGuardBytes = 64;
constexpr char kGuard = '\x5a';

// Two results of U8 [4], the second one read from byte 1 on; memory around them must stay as it is.
class Receiver {
 public:
  explicit Receiver(bool checksum = false)
      : memory_(4 + 3 + 2 * kGuardBytes, kGuard),
        assembler_(Expectation(checksum),
                   [this](const ResultHeader& header) { return Place(header); }) {}

  absl::Status Receive(const std::vector<std::string>& messages, size_t piece_bytes) {
    for (const std::string& message : messages) {
      const Pieces pieces(message, piece_bytes);
      const absl::Status status = assembler_.Add(pieces.cursor());
      if (!status.ok()) return status;
    }
    return assembler_.Finish();
  }

  std::string data() const { return memory_.substr(kGuardBytes, 7); }
  bool guards_intact() const {
    const std::string guard(kGuardBytes, kGuard);
    return memory_.substr(0, kGuardBytes) == guard && memory_.substr(kGuardBytes + 7) == guard;
  }
  const ChunkAssembler& assembler() const { return assembler_; }

 private:
  static StreamExpectation Expectation(bool checksum) {
    StreamExpectation expectation;
    expectation.num_results = 2;
    expectation.version = "v";
    expectation.checksum = checksum;
    return expectation;
  }

  absl::StatusOr<ResultPlace> Place(const ResultHeader& header) {
    auto* begin = reinterpret_cast<std::byte*>(memory_.data()) + kGuardBytes;
    ResultPlace place;
    place.begin = header.result;
    const absl::Span<std::byte> span(begin + 4 * header.result, 4 - header.result);
    auto writer = DestinationWriter::Dense(span, span.size());
    if (!writer.ok()) return writer.status();
    place.writer = *writer;
    return place;
  }

  std::string memory_;
  ChunkAssembler assembler_;
};

v1::TensorChunk Info() {
  v1::TensorChunk chunk;
  chunk.mutable_info()->set_model("m");
  chunk.mutable_info()->set_version("v");
  chunk.mutable_info()->set_num_results(2);
  chunk.mutable_info()->set_size_bytes(7);
  return chunk;
}

v1::TensorPart& AddPart(v1::TensorChunk& chunk, uint32_t result, uint64_t offset,
                        const std::string& data) {
  v1::TensorPart& part = *chunk.add_parts();
  part.set_result(result);
  part.set_offset_bytes(offset);
  part.set_data(data);
  return part;
}

v1::TensorPart& AddFirst(v1::TensorChunk& chunk, uint32_t result, uint64_t offset,
                         const std::string& data) {
  v1::TensorPart& part = AddPart(chunk, result, offset, data);
  part.mutable_header()->set_dtype("U8");
  part.mutable_header()->add_shape(4);
  part.mutable_header()->set_size_bytes(4);
  return part;
}

uint32_t Crc(absl::string_view data) {
  return ExtendCrc32c(
      0, absl::MakeConstSpan(reinterpret_cast<const std::byte*>(data.data()), data.size()));
}

std::vector<std::string> GoodStream() {
  v1::TensorChunk first = Info();
  AddFirst(first, 0, 0, "ab");
  v1::TensorChunk second;
  AddPart(second, 0, 2, "cd");
  AddFirst(second, 1, 1, "xyz");
  return {first.SerializeAsString(), second.SerializeAsString()};
}

struct StreamRow {
  std::string name;
  std::string error;  // Part of the message; empty: the stream is good.
  std::function<void(v1::TensorChunk& first, v1::TensorChunk& second)> build;
  bool checksum = false;
};

void PrintTo(const StreamRow& row, std::ostream* out) { *out << row.name; }

class Streams : public ::testing::TestWithParam<StreamRow> {};

// Whatever the pieces, the verdict is the same, and nothing outside the destination changes.
TEST_P(Streams, AreJudged) {
  for (const size_t piece_bytes : {0, 1, 2, 3, 7}) {
    v1::TensorChunk first = Info();
    v1::TensorChunk second;
    GetParam().build(first, second);
    Receiver receiver(GetParam().checksum);
    const absl::Status status =
        receiver.Receive({first.SerializeAsString(), second.SerializeAsString()}, piece_bytes);
    EXPECT_TRUE(receiver.guards_intact()) << piece_bytes;
    if (GetParam().error.empty()) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_EQ(receiver.data(), "abcdxyz") << piece_bytes;
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error)) << piece_bytes;
    }
  }
}

using Chunk = v1::TensorChunk;
INSTANTIATE_TEST_SUITE_P(All, Streams,
                         ::testing::Values(
                             StreamRow{"good", "",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "ab");
                                         AddPart(second, 0, 2, "cd");
                                         AddFirst(second, 1, 1, "xyz");
                                       }},
                             StreamRow{"any_order", "",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 1, 1, "xyz");
                                         AddFirst(second, 0, 0, "abcd");
                                       }},
                             StreamRow{"header_alone_first", "",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "");
                                         AddPart(second, 0, 0, "abcd");
                                         AddFirst(second, 1, 1, "xyz");
                                       }},
                             StreamRow{"checksums", "",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "abcd").set_crc32c(Crc("abcd"));
                                         AddFirst(second, 1, 1, "xyz").set_crc32c(Crc("xyz"));
                                       },
                                       true},
                             StreamRow{"no_info", "StreamInfo",
                                       [](Chunk& first, Chunk&) {
                                         first.clear_info();
                                         AddFirst(first, 0, 0, "abcd");
                                       }},
                             StreamRow{"empty_first_message", "StreamInfo",
                                       [](Chunk& first, Chunk&) { first.clear_info(); }},
                             StreamRow{"second_info", "second StreamInfo",
                                       [](Chunk&, Chunk& second) { second = Info(); }},
                             StreamRow{"wrong_count", "announces 3 results, asked for were 2",
                                       [](Chunk& first, Chunk&) {
                                         first.mutable_info()->set_num_results(3);
                                       }},
                             StreamRow{"wrong_version", "sends version \"w\", asked for was \"v\"",
                                       [](Chunk& first, Chunk&) {
                                         first.mutable_info()->set_version("w");
                                       }},
                             StreamRow{"gap", "goes on at byte 3, wanted is byte 2",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "ab");
                                         AddPart(second, 0, 3, "d");
                                       }},
                             StreamRow{"overlap", "goes on at byte 1, wanted is byte 2",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "ab");
                                         AddPart(second, 0, 1, "bcd");
                                       }},
                             StreamRow{"overrun", "overruns its 4 bytes by 2",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "ab");
                                         AddPart(second, 0, 2, "cdef");
                                       }},
                             StreamRow{"range_begins_too_early",
                                       "goes on at byte 0, wanted is byte 1",
                                       [](Chunk& first, Chunk&) { AddFirst(first, 1, 0, "wxyz"); }},
                             StreamRow{"huge_offset", "goes on at byte 18446744073709551615",
                                       [](Chunk& first, Chunk&) {
                                         AddFirst(first, 0, UINT64_MAX, "ab");
                                       }},
                             StreamRow{"unknown_result", "result 2 of 2",
                                       [](Chunk& first, Chunk&) { AddFirst(first, 2, 0, "ab"); }},
                             StreamRow{"no_header", "has no header",
                                       [](Chunk& first, Chunk&) { AddPart(first, 0, 0, "ab"); }},
                             StreamRow{"second_header", "second header",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "ab");
                                         AddFirst(second, 0, 2, "cd");
                                       }},
                             StreamRow{"interleaved", "begins while result 0 has only 2 of 4 bytes",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "ab");
                                         AddFirst(second, 1, 1, "xyz");
                                       }},
                             StreamRow{"after_its_end", "goes on after its end",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "abcd");
                                         AddPart(second, 0, 4, "");
                                       }},
                             StreamRow{"twice", "goes on after its end",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "abcd");
                                         AddFirst(second, 0, 0, "abcd");
                                       }},
                             StreamRow{
                                 "size_against_shape", "of 4 bytes is said to be U8 [5]",
                                 [](Chunk& first, Chunk&) {
                                   AddFirst(first, 0, 0, "ab").mutable_header()->set_shape(0, 5);
                                 }},
                             StreamRow{
                                 "dtype_against_size", "is said to be F32 [4]",
                                 [](Chunk& first, Chunk&) {
                                   AddFirst(first, 0, 0, "ab").mutable_header()->set_dtype("F32");
                                 }},
                             StreamRow{"shape_overflows", "is said to be U8",
                                       [](Chunk& first, Chunk&) {
                                         auto& header =
                                             *AddFirst(first, 0, 0, "ab").mutable_header();
                                         header.set_shape(0, uint64_t{1} << 62);
                                         header.add_shape(uint64_t{1} << 62);
                                       }},
                             StreamRow{"smaller_than_wanted", "has 3 bytes, wanted of it are 4",
                                       [](Chunk& first, Chunk&) {
                                         auto& header =
                                             *AddFirst(first, 0, 0, "ab").mutable_header();
                                         header.set_shape(0, 3);
                                         header.set_size_bytes(3);
                                       }},
                             StreamRow{"ends_early", "result 0 has only 2 of 4 bytes",
                                       [](Chunk& first, Chunk&) { AddFirst(first, 0, 0, "ab"); }},
                             StreamRow{"result_missing", "after 1 of 2 results",
                                       [](Chunk& first, Chunk&) { AddFirst(first, 0, 0, "abcd"); }},
                             StreamRow{"size_not_as_announced", "after 7 bytes, announced were 8",
                                       [](Chunk& first, Chunk& second) {
                                         first.mutable_info()->set_size_bytes(8);
                                         AddFirst(first, 0, 0, "abcd");
                                         AddFirst(second, 1, 1, "xyz");
                                       }},
                             StreamRow{"wrong_checksum", "announced was 00000001",
                                       [](Chunk& first, Chunk&) {
                                         AddFirst(first, 0, 0, "abcd").set_crc32c(1);
                                       },
                                       true},
                             StreamRow{"wrong_checksum_unasked", "announced was 00000001",
                                       [](Chunk& first, Chunk&) {
                                         AddFirst(first, 0, 0, "abcd").set_crc32c(1);
                                       }},
                             StreamRow{"no_checksum", "without the checksum",
                                       [](Chunk& first, Chunk&) { AddFirst(first, 0, 0, "abcd"); },
                                       true},
                             StreamRow{"failure_with_ok", "result 1 failed: gone",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "abcd");
                                         auto& error = *second.add_parts();
                                         error.set_result(1);
                                         error.mutable_error()->set_code(15);
                                         error.mutable_error()->set_message("gone");
                                       }},
                             StreamRow{"failure_after_the_last_byte", "result 0 failed: changed",
                                       [](Chunk& first, Chunk& second) {
                                         AddFirst(first, 0, 0, "abcd");
                                         auto& error = *second.add_parts();
                                         error.mutable_error()->set_reason(v1::FILE_CHANGED);
                                         error.mutable_error()->set_message("changed");
                                       }}),
                         [](const ::testing::TestParamInfo<StreamRow>& row) {
                           return row.param.name;
                         });

TEST(ChunkAssembler, EveryTruncationOfAMessageIsAnError) {
  const std::vector<std::string> good = GoodStream();
  for (size_t size = 0; size < good[1].size(); ++size) {
    Receiver receiver;
    EXPECT_FALSE(receiver.Receive({good[0], good[1].substr(0, size)}, 3).ok()) << size;
    EXPECT_TRUE(receiver.guards_intact()) << size;
  }
}

TEST(ChunkAssembler, AStreamWithoutMessagesIsNotOk) {
  Receiver receiver;
  EXPECT_THAT(std::string(receiver.Receive({}, 0).message()), HasSubstr("without messages"));
}

TEST(ChunkAssembler, SkipsUnknownFieldsOfAnyWireType) {
  // Field 14 as varint, fixed64, bytes, fixed32, and as a group that holds a varint and a group.
  const std::string unknown(
      "\x70\x96\x01\x71"
      "12345678"
      "\x72\x03"
      "abc"
      "\x75"
      "1234"
      "\x73\x08\x01\x0b\x0c\x74",
      28);
  std::vector<std::string> stream = GoodStream();
  stream[0] = unknown + stream[0] + unknown;
  v1::TensorPart part;
  part.set_result(0);
  part.set_offset_bytes(2);
  std::string encoded = part.SerializeAsString() + unknown +
                        "\x7a\x02"
                        "cd" +
                        unknown;
  v1::TensorChunk rest;
  AddFirst(rest, 1, 1, "xyz");
  stream[1] =
      std::string("\x12") + static_cast<char>(encoded.size()) + encoded + rest.SerializeAsString();
  for (const size_t piece_bytes : {0, 1, 2, 5}) {
    Receiver receiver;
    const absl::Status status = receiver.Receive(stream, piece_bytes);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(receiver.data(), "abcdxyz");
  }
}

TEST(ChunkAssembler, KeepsWhatTheServerSaysOfAFailedResult) {
  v1::TensorChunk chunk = Info();
  AddFirst(chunk, 0, 0, "ab");
  v1::TensorPart& part = *chunk.add_parts();
  part.mutable_error()->set_code(15);
  part.mutable_error()->set_reason(v1::READ_ERROR);
  part.mutable_error()->set_message("bad sector");
  AddFirst(chunk, 1, 1, "xyz");
  Receiver receiver;
  EXPECT_FALSE(receiver.Receive({chunk.SerializeAsString()}, 0).ok());
  ASSERT_EQ(receiver.assembler().failures().size(), 1);
  EXPECT_EQ(receiver.assembler().failures()[0].result, 0);
  EXPECT_EQ(ReasonOf(receiver.assembler().failures()[0].status), ErrorReason::kReadError);
  EXPECT_FALSE(receiver.assembler().IsComplete(0));
  EXPECT_TRUE(receiver.assembler().IsComplete(1));
}

}  // namespace
}  // namespace tensord
