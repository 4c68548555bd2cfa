// Any stream of messages, in any pieces: the assembler never writes outside its destinations, and
// its decoder reads what protobuf reads.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "client/chunk_assembler.h"
#include "tensord/v1/tensord.pb.h"
#include "tests/client/pieces.h"

namespace {

constexpr size_t kDestinationBytes = 64;

void Check(bool fact) {
  if (!fact) std::abort();
}

// What protobuf accepts, the decoder must accept too, and see the same.
void CompareWithProtobuf(const std::string& message, size_t piece_bytes) {
  tensord::v1::TensorChunk expected;
  if (!expected.ParseFromString(message)) return;
  const tensord::Pieces pieces(message, piece_bytes);
  tensord::ChunkDecoder decoder(pieces.cursor());
  for (int i = 0;;) {
    const auto field = decoder.Next();
    Check(field.ok());
    if (*field == tensord::ChunkDecoder::Field::kEnd) {
      Check(i == expected.parts_size());
      break;
    }
    if (*field == tensord::ChunkDecoder::Field::kInfo) continue;
    const tensord::v1::TensorPart& wanted = expected.parts(i++);
    const tensord::ChunkPart& part = decoder.part();
    Check(part.result == wanted.result() && part.offset_bytes == wanted.offset_bytes());
    Check(part.crc32c.has_value() == wanted.has_crc32c() &&
          part.crc32c.value_or(0) == wanted.crc32c());
    Check(part.error.has_value() == wanted.has_error());
    Check((part.header != nullptr) == wanted.has_header());
    tensord::PieceCursor data = part.data;
    std::string bytes;
    data.ReadString(data.remaining(), bytes);
    Check(bytes == wanted.data());
    if (!part.header) continue;
    const auto& shape = wanted.header().shape();
    Check(part.header->shape == tensord::Shape(shape.begin(), shape.end()));
    Check(part.header->dtype == wanted.header().dtype() &&
          part.header->tensor == wanted.header().tensor());
    Check(part.header->size_bytes == wanted.header().size_bytes());
  }
}

}  // namespace

// The first byte is the size of the pieces; messages stand behind a length of one byte each.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece_bytes = data[0] % 16;
  std::vector<std::byte> destination(kDestinationBytes);  // ASan watches its ends.
  tensord::StreamExpectation expectation;
  expectation.num_results = 3;
  tensord::ChunkAssembler assembler(
      expectation,
      [&](const tensord::ResultHeader& header) -> absl::StatusOr<tensord::ResultPlace> {
        tensord::ResultPlace place;
        const tensord::Destination strided(absl::MakeSpan(destination), {16, 1});
        const bool dense = header.result != 0 || !header.dtype;
        auto writer = dense ? tensord::DestinationWriter::Dense(
                                  absl::MakeSpan(destination).first(header.header->size_bytes % 65),
                                  header.header->size_bytes)
                            : tensord::DestinationWriter::Strided(strided, *header.dtype,
                                                                  header.header->shape);
        if (!writer.ok()) return writer.status();
        place.writer = *std::move(writer);
        return place;
      });
  bool ok = true;
  for (size_t i = 1; i < size;) {
    const size_t length = std::min<size_t>(data[i], size - i - 1);
    const std::string message(reinterpret_cast<const char*>(data) + i + 1, length);
    i += 1 + length;
    CompareWithProtobuf(message, piece_bytes);
    if (!ok) continue;
    const tensord::Pieces pieces(message, piece_bytes);
    ok = assembler.Add(pieces.cursor()).ok();
  }
  if (ok) (void)assembler.Finish();
  return 0;
}
