// Where HTTP/2's frames begin in a stream of bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace tensord {

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

inline constexpr uint8_t kFlagEndStream = 0x1;  // Of DATA and HEADERS.
inline constexpr uint8_t kFlagAck = 0x1;        // Of SETTINGS and PING.
inline constexpr uint8_t kFlagEndHeaders = 0x4;

// The nine bytes before each frame's payload.
struct FrameHeader {
  static constexpr size_t kSize = 9;

  uint32_t payload_bytes = 0;
  FrameType type = FrameType::kData;  // Perhaps one that has no name here.
  uint8_t flags = 0;
  uint32_t stream = 0;
};

// Walks one direction of a connection, whose bytes come in pieces of any size. Payloads are not
// looked into. Not thread-safe.
class FrameReader {
 public:
  // What a client sends begins with the preface, what a server sends does not.
  enum class Side { kClient, kServer };

  using HeaderVisitor = absl::FunctionRef<void(const FrameHeader&)>;
  using PayloadVisitor = absl::FunctionRef<void(const FrameHeader&, size_t begin, size_t size)>;

  explicit FrameReader(Side side) : preface_left_(side == Side::kClient ? kPreface.size() : 0) {}

  // Calls `visit` at the end of each frame header in `bytes`, before its payload is seen.
  void Read(absl::Span<const uint8_t> bytes, HeaderVisitor visit);

  // Calls `visit_payload` as well, for each stretch of a payload: whose it is, and where in `bytes`
  // it begins and how long it is, at least one byte.
  void Read(absl::Span<const uint8_t> bytes, HeaderVisitor visit, PayloadVisitor visit_payload);

  // True once a whole frame header has been seen: the connection is HTTP/2 and in use.
  bool has_begun() const { return has_begun_; }

 private:
  static constexpr std::array<char, 24> kPreface = {'P',  'R',  'I', ' ', '*',  ' ',  'H',  'T',
                                                    'T',  'P',  '/', '2', '.',  '0',  '\r', '\n',
                                                    '\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n'};

  // Takes the preface off the front. False where something else stands there: this is not HTTP/2,
  // nothing of it is a frame, and gRPC closes the connection.
  bool SkipPreface(absl::Span<const uint8_t>& bytes);

  size_t preface_left_;
  bool is_foreign_ = false;
  bool has_begun_ = false;
  FrameHeader current_;  // Whose payload comes next.
  uint64_t payload_left_ = 0;
  size_t header_bytes_ = 0;  // Of the header that is being collected.
  std::array<uint8_t, FrameHeader::kSize> header_{};
};

}  // namespace tensord
