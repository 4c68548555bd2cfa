// Any stream of messages, in any pieces: what reaches the sink lies in the range that was asked
// for, in order and without gap, and a stream that ends well has all of it; the decoder reads what
// protobuf reads.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "client/file_chunk_assembler.h"
#include "client/file_chunk_decoder.h"
#include "tensord/v1/tensord.pb.h"
#include "tests/client/pieces.h"

namespace {

void Check(bool fact) {
  if (!fact) std::abort();
}

std::string ReadAll(tensord::PieceCursor cursor) {
  std::string bytes;
  cursor.ReadString(cursor.remaining(), bytes);
  Check(cursor.ok());
  return bytes;
}

void CompareInfo(const tensord::FileStreamInfo& info, const tensord::v1::FileStreamInfo& expected) {
  Check(info.model == expected.model() && info.version == expected.version());
  Check(info.file == expected.file() && info.size_bytes == expected.size_bytes());
  Check(info.sha256 == expected.sha256() && info.tag == expected.tag());
}

// What protobuf accepts, the decoder must accept too, and see the same.
void CompareWithProtobuf(const std::string& message, const tensord::Pieces& pieces) {
  tensord::v1::FileChunk expected;
  if (!expected.ParseFromString(message)) return;
  const auto fields = tensord::DecodeFileChunk(pieces.cursor());
  Check(fields.ok());
  Check(fields->info.has_value() == expected.has_info());
  if (fields->info) CompareInfo(*fields->info, expected.info());
  Check(fields->offset_bytes == expected.offset_bytes());
  Check(fields->crc32c.has_value() == expected.has_crc32c());
  Check(fields->crc32c.value_or(0) == expected.crc32c());
  Check(ReadAll(fields->data) == expected.data());
}

// The range, and what else is expected, out of one byte: each bit is a choice.
tensord::FileExpectation ExpectationOf(uint8_t choices) {
  tensord::FileExpectation expectation;
  expectation.file = "f";
  if ((choices & 1) != 0) expectation.version = "v";
  if ((choices & 2) != 0) expectation.range.offset = 3;
  if ((choices & 4) != 0) expectation.range.length = 5;
  expectation.checksum = (choices & 8) != 0;
  if ((choices & 16) != 0) {
    expectation.same_as.emplace();
    expectation.same_as->size_bytes = 8;
    expectation.same_as->tag = "t";
    expectation.same_as->sha256 = (choices & 32) != 0 ? "s" : "";
  }
  if ((choices & 64) != 0) expectation.range.offset = UINT64_MAX;
  if ((choices & 128) != 0) expectation.range.length = UINT64_MAX;
  return expectation;
}

// Holds the assembler to its promise.
class Receiver {
 public:
  explicit Receiver(const tensord::ByteRange& range) : range_(range), next_(range.offset) {}

  absl::Status Take(const tensord::FileStreamInfo& info, uint64_t offset,
                    absl::Span<const std::byte> bytes) {
    Check(!bytes.empty() && offset == next_);
    Check(offset <= info.size_bytes && bytes.size() <= info.size_bytes - offset);
    next_ += bytes.size();
    Check(!range_.length || next_ - range_.offset <= *range_.length);
    return absl::OkStatus();
  }

  void CheckWhole(const tensord::FileStreamInfo& info) const {
    Check(next_ == (range_.length ? range_.offset + *range_.length : info.size_bytes));
  }

  uint64_t next() const { return next_; }

 private:
  const tensord::ByteRange range_;
  uint64_t next_;
};

}  // namespace

// The first byte is the size of the pieces, the second what is expected; messages stand behind a
// length of one byte each.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece_bytes = data[0] % 16;
  const tensord::FileExpectation expectation = ExpectationOf(data[1]);
  Receiver receiver(expectation.range);
  const tensord::FileSink sink = [&](const tensord::FileStreamInfo& info, uint64_t offset,
                                     absl::Span<const std::byte> bytes) {
    return receiver.Take(info, offset, bytes);
  };
  tensord::FileChunkAssembler assembler(expectation, sink);
  bool ok = true;
  for (size_t i = 2; i < size;) {
    const size_t length = std::min<size_t>(data[i], size - i - 1);
    const std::string message(reinterpret_cast<const char*>(data) + i + 1, length);
    i += 1 + length;
    const tensord::Pieces pieces(message, piece_bytes);
    CompareWithProtobuf(message, pieces);
    ok = ok && assembler.Add(pieces.cursor()).ok();
    Check(assembler.next_offset() == receiver.next());
  }
  if (!ok) return 0;
  const auto info = assembler.Finish();
  if (info.ok()) receiver.CheckWhole(*info);
  return 0;
}
