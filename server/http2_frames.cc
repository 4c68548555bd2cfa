#include "server/http2_frames.h"

#include <algorithm>

namespace tensord {
namespace {

FrameHeader Decode(const std::array<uint8_t, FrameHeader::kSize>& bytes) {
  FrameHeader header;
  header.payload_bytes = uint32_t{bytes[0]} << 16 | uint32_t{bytes[1]} << 8 | bytes[2];
  header.type = static_cast<FrameType>(bytes[3]);
  header.flags = bytes[4];
  header.stream = (uint32_t{bytes[5]} & 0x7f) << 24 | uint32_t{bytes[6]} << 16 |
                  uint32_t{bytes[7]} << 8 | bytes[8];
  return header;
}

}  // namespace

bool FrameReader::SkipPreface(absl::Span<const uint8_t>& bytes) {
  while (preface_left_ > 0 && !bytes.empty()) {
    if (bytes[0] != static_cast<uint8_t>(kPreface[kPreface.size() - preface_left_])) return false;
    --preface_left_;
    bytes.remove_prefix(1);
  }
  return true;
}

void FrameReader::Read(absl::Span<const uint8_t> bytes, HeaderVisitor visit) {
  Read(bytes, visit, [](const FrameHeader&, size_t, size_t) {});
}

void FrameReader::Read(absl::Span<const uint8_t> bytes, HeaderVisitor visit,
                       PayloadVisitor visit_payload) {
  const size_t num_bytes = bytes.size();
  if (is_foreign_) return;
  if (!SkipPreface(bytes)) {
    is_foreign_ = true;
    return;
  }
  while (!bytes.empty()) {
    if (payload_left_ > 0) {
      const size_t size = std::min<uint64_t>(payload_left_, bytes.size());
      visit_payload(current_, num_bytes - bytes.size(), size);
      payload_left_ -= size;
      bytes.remove_prefix(size);
      continue;
    }
    const size_t taken = std::min(FrameHeader::kSize - header_bytes_, bytes.size());
    std::copy_n(bytes.begin(), taken, header_.begin() + header_bytes_);
    header_bytes_ += taken;
    bytes.remove_prefix(taken);
    if (header_bytes_ < FrameHeader::kSize) return;
    header_bytes_ = 0;
    has_begun_ = true;
    current_ = Decode(header_);
    payload_left_ = current_.payload_bytes;
    visit(current_);
  }
}

}  // namespace tensord
