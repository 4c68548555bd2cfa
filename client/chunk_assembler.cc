#include "client/chunk_assembler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/checksum.h"
#include "src/checked_math.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

constexpr uint64_t kBitsPerByte = 8;

// A share of the smallest second-level caches, 256 KiB, in which source and destination have room.
constexpr uint64_t kChecksumBlockBytes = 64 << 10;

template <typename... Args>
absl::Status Lost(const Args&... what) {
  return absl::DataLossError(absl::StrCat("the server contradicts itself: ", what...));
}

// nullopt when the bits do not fit 64 bits, or are no whole bytes.
std::optional<uint64_t> SizeOf(Dtype dtype, const Shape& shape) {
  uint64_t bits = BitsPerElement(dtype);
  for (const uint64_t extent : shape) {
    if (extent == 0) return 0;
  }
  for (const uint64_t extent : shape) {
    const auto product = CheckedMul(bits, extent);
    if (!product) return std::nullopt;
    bits = *product;
  }
  if (bits % kBitsPerByte != 0) return std::nullopt;
  return bits / kBitsPerByte;
}

absl::Status ToStatus(const ChunkError& error) {
  const bool known = error.reason > 0 && error.reason < kNumErrorReasons;
  if (known) return MakeError(static_cast<ErrorReason>(error.reason), error.message);
  // A reason of a newer server; its code still says what to do.
  const auto code = static_cast<absl::StatusCode>(error.code);
  const bool usable = error.code > 0 && error.code <= 16;
  return absl::Status(usable ? code : absl::StatusCode::kDataLoss, error.message);
}

}  // namespace

ChunkAssembler::ChunkAssembler(StreamExpectation expectation, Place place)
    : expectation_(std::move(expectation)), place_(std::move(place)) {}

absl::Status ChunkAssembler::Add(PieceCursor message) {
  ChunkDecoder decoder(message);
  while (true) {
    TENSORD_ASSIGN_OR_RETURN(const ChunkDecoder::Field field, decoder.Next());
    switch (field) {
      case ChunkDecoder::Field::kInfo:
        TENSORD_RETURN_IF_ERROR(AddInfo(decoder.info()));
        break;
      case ChunkDecoder::Field::kPart:
        TENSORD_RETURN_IF_ERROR(AddPart(decoder.part()));
        break;
      case ChunkDecoder::Field::kEnd:
        // Numbering begins after the first message, whatever it holds.
        if (!has_info_) return Lost("the first message has no StreamInfo");
        return absl::OkStatus();
    }
  }
}

absl::Status ChunkAssembler::AddInfo(const ChunkStreamInfo& info) {
  if (has_info_) return Lost("a second StreamInfo");
  const uint32_t wanted = expectation_.num_results.value_or(info.num_results);
  if (info.num_results != wanted) {
    return Lost("it announces ", info.num_results, " results, asked for were ", wanted);
  }
  if (!expectation_.version.empty() && info.version != expectation_.version) {
    return Lost("it sends version ", Quote(info.version), ", asked for was ",
                Quote(expectation_.version));
  }
  has_info_ = true;
  info_ = info;
  return absl::OkStatus();
}

absl::Status ChunkAssembler::AddPart(const ChunkPart& part) {
  if (!has_info_) return Lost("data before StreamInfo");
  if (part.result >= info_.num_results) {
    return Lost("a part of result ", part.result, " of ", info_.num_results);
  }
  // States grow with what arrives: the number of results alone is only a claim.
  if (!expectation_.num_results && part.result > states_.size()) {
    return Lost("result ", part.result, " of a plan comes after only ", states_.size());
  }
  if (part.result >= states_.size()) states_.resize(part.result + 1, State::kMissing);
  if (open_ != part.result) {
    if (open_) {
      return Lost("result ", part.result, " begins while result ", *open_, " has only ",
                  NumWritten(), " of ", target_.NumWanted(), " bytes");
    }
    const State state = states_[part.result];
    // A file may turn out to be broken only after its last byte was sent.
    if (part.error && state != State::kFailed) return Fail(part);
    if (state != State::kMissing) return Lost("result ", part.result, " goes on after its end");
    if (!part.header) return Lost("result ", part.result, " has no header");
    TENSORD_RETURN_IF_ERROR(Begin(part.result, *part.header));
  } else if (part.header) {
    return Lost("result ", part.result, " has a second header");
  }
  if (part.error) return Fail(part);
  return Write(part);
}

absl::Status ChunkAssembler::Begin(uint32_t result, const ChunkHeader& header) {
  const std::optional<Dtype> dtype = ParseDtype(header.dtype);
  if (dtype && SizeOf(*dtype, header.shape) != header.size_bytes) {
    return Lost("result ", result, " of ", header.size_bytes, " bytes is said to be ", header.dtype,
                " [", absl::StrJoin(header.shape, ", "), "]");
  }
  TENSORD_ASSIGN_OR_RETURN(target_, place_(ResultHeader{result, dtype, &header}));
  const bool fits = target_.begin <= header.size_bytes &&
                    target_.writer.size_bytes() <= header.size_bytes - target_.begin &&
                    target_.first <= target_.Last() &&
                    target_.Last() <= target_.writer.size_bytes();
  if (!fits) {
    return Lost("result ", result, " has ", header.size_bytes, " bytes, wanted of it are ",
                target_.Last(), " from ", target_.begin);
  }
  open_ = result;
  next_offset_ = target_.begin + target_.first;
  states_[result] = State::kOpen;
  return absl::OkStatus();
}

absl::Status ChunkAssembler::Fail(const ChunkPart& part) {
  failures_.push_back({part.result, ToStatus(*part.error)});
  if (states_[part.result] == State::kComplete) --num_complete_;
  states_[part.result] = State::kFailed;
  open_.reset();
  return absl::OkStatus();
}

absl::Status ChunkAssembler::Write(const ChunkPart& part) {
  const uint64_t size = part.data.remaining();
  if (part.offset_bytes != next_offset_) {
    return Lost("result ", part.result, " goes on at byte ", part.offset_bytes, ", wanted is byte ",
                next_offset_);
  }
  const uint64_t done = next_offset_ - target_.begin;
  if (size > target_.Last() - done) {
    return Lost("result ", part.result, " overruns its ", target_.NumWanted(), " bytes by ",
                size - (target_.Last() - done));
  }
  const absl::Status copied = Copy(part, done);
  if (!copied.ok()) {
    return Annotate(copied,
                    absl::StrCat("bytes from ", part.offset_bytes, " of result ", part.result));
  }
  next_offset_ += size;
  bytes_received_ += size;
  CompleteIfFull();
  return absl::OkStatus();
}

// Block by block, so that each byte is read from memory once: for the checksum, and then for the
// copy out of the cache.
absl::Status ChunkAssembler::Copy(const ChunkPart& part, uint64_t offset) {
  PieceCursor rest = part.data;
  uint32_t crc = 0;
  while (rest.remaining() > 0) {
    const PieceCursor block =
        rest.Take(part.crc32c ? std::min(rest.remaining(), kChecksumBlockBytes) : rest.remaining());
    if (part.crc32c) crc = ExtendCrc32c(crc, block);
    target_.writer.Write(offset, block);
    offset += block.remaining();
  }
  return CheckCrc32c(part.data.remaining(), crc, part.crc32c, expectation_.checksum);
}

void ChunkAssembler::CompleteIfFull() {
  const bool full = next_offset_ - target_.begin == target_.Last();
  if (!full) return;
  states_[*open_] = State::kComplete;
  ++num_complete_;
  open_.reset();
}

absl::Status ChunkAssembler::Finish() const {
  if (!has_info_) return Lost("a stream without messages ended with OK");
  if (open_) {
    return Lost("the stream ended with OK, but result ", *open_, " has only ", NumWritten(), " of ",
                target_.NumWanted(), " bytes");
  }
  if (!failures_.empty()) {
    return Lost("the stream ended with OK, but result ", failures_.front().result,
                " failed: ", failures_.front().status.message());
  }
  if (num_complete_ != info_.num_results) {
    return Lost("the stream ended with OK after ", num_complete_, " of ", info_.num_results,
                " results");
  }
  if (!expectation_.headers_only && bytes_received_ != info_.size_bytes) {
    return Lost("the stream ended with OK after ", bytes_received_, " bytes, announced were ",
                info_.size_bytes);
  }
  return absl::OkStatus();
}

}  // namespace tensord
