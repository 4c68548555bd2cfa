#include "server/batch_request_view.h"

#include <google/protobuf/arena.h>

#include <cassert>
#include <cstring>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "src/error.h"
#include "src/status_macros.h"
#include "src/utf8.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

// Wire types of protobuf's encoding.
constexpr uint32_t kVarint = 0;
constexpr uint32_t kDelimited = 2;

constexpr int kMaxVarintBytes = 10;  // 64 bits at 7 a byte.

// A field's tag, which is one byte as all numbers here are below 16.
constexpr uint8_t Tag(int number, uint32_t wire_type) {
  return static_cast<uint8_t>(static_cast<uint32_t>(number) << 3 | wire_type);
}

// Takes fields off the front of a message. What is not plain makes it fail: it is then at its end,
// and ok() stays false.
class FieldReader {
 public:
  explicit FieldReader(absl::string_view message)
      : next_(message.data()), end_(message.data() + message.size()) {}

  bool ok() const { return ok_; }
  bool at_end() const { return next_ == end_; }
  absl::string_view rest() const { return {next_, static_cast<size_t>(end_ - next_)}; }

  // Longer tags fit no case of a switch, as unknown fields do not.
  uint8_t ReadTag() { return static_cast<uint8_t>(*next_++); }

  // At most `max`.
  uint64_t ReadVarint(uint64_t max = std::numeric_limits<uint64_t>::max()) {
    uint64_t value = 0;
    for (int i = 0; i < kMaxVarintBytes && next_ != end_; ++i) {
      const auto byte = static_cast<uint8_t>(*next_++);
      if (i == kMaxVarintBytes - 1 && byte > 1) break;  // There is room for bit 63 only.
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      if (value <= max) return value;
      break;
    }
    Fail();
    return 0;
  }

  absl::string_view ReadBytes() {
    const uint64_t size = ReadVarint();
    if (size > static_cast<uint64_t>(end_ - next_)) {
      Fail();
      return {};
    }
    const absl::string_view bytes(next_, size);
    next_ += size;
    return bytes;
  }

  absl::string_view ReadText() {
    const absl::string_view text = ReadBytes();
    if (!IsAscii(text) && !IsValidUtf8(text)) Fail();
    return text;
  }

  void Fail() {
    ok_ = false;
    next_ = end_;
  }

 private:
  static bool IsAscii(absl::string_view text) {
    uint64_t high_bits = 0;
    for (; text.size() >= sizeof(uint64_t); text.remove_prefix(sizeof(uint64_t))) {
      uint64_t word = 0;
      std::memcpy(&word, text.data(), sizeof(word));
      high_bits |= word;
    }
    for (const char c : text) high_bits |= static_cast<uint8_t>(c);
    return (high_bits & 0x8080808080808080) == 0;
  }

  const char* next_;
  const char* end_;
  bool ok_ = true;
};

RangeView ReadRange(absl::string_view bytes, FieldReader& around) {
  using Range = v1::ByteRange;
  RangeView range;
  FieldReader reader(bytes);
  while (!reader.at_end()) {
    switch (reader.ReadTag()) {
      case Tag(Range::kOffsetFieldNumber, kVarint):
        range.offset = reader.ReadVarint();
        break;
      case Tag(Range::kLengthFieldNumber, kVarint):
        range.length = reader.ReadVarint();
        break;
      default:
        reader.Fail();
    }
  }
  if (!reader.ok()) around.Fail();
  return range;
}

// Reads a Selection; where it is not plain, `around` fails.
SelectionView ReadSelection(absl::string_view bytes, FieldReader& around) {
  SelectionView view;
  FieldReader reader(bytes);
  const auto set_target = [&](SelectionView::Target target) {
    if (view.target != SelectionView::Target::kNone) return reader.Fail();
    view.target = target;
    view.name = reader.ReadText();
  };
  const auto set_index = [&](IndexView::Kind kind, absl::string_view index) {
    if (view.index.kind != IndexView::Kind::kWhole) return reader.Fail();
    view.index = {kind, index};
  };
  while (!reader.at_end()) {
    switch (reader.ReadTag()) {
      case Tag(v1::Selection::kTensorFieldNumber, kDelimited):
        set_target(SelectionView::Target::kTensor);
        break;
      case Tag(v1::Selection::kPatternFieldNumber, kDelimited):
        set_target(SelectionView::Target::kPattern);
        break;
      case Tag(v1::Selection::kSliceFieldNumber, kDelimited):
        set_index(IndexView::Kind::kText, reader.ReadText());
        break;
      case Tag(v1::Selection::kDimsFieldNumber, kDelimited):
        set_index(IndexView::Kind::kDims, reader.ReadBytes());
        break;
      case Tag(v1::Selection::kRangeFieldNumber, kDelimited):
        if (view.range) reader.Fail();
        if (reader.ok()) view.range = ReadRange(reader.ReadBytes(), reader);
        break;
      default:
        reader.Fail();
    }
  }
  if (!reader.ok()) around.Fail();
  return view;
}

// Judges encoded Dims, each distinct text once: ranks ask for the same shard of everything.
class DimsChecker {
 public:
  bool IsPlain(const IndexView& index) {
    if (index.kind != IndexView::Kind::kDims) return true;
    if (!seen_.empty() && index.bytes == last_) return true;
    last_ = index.bytes;
    if (!seen_.insert(index.bytes).second) return true;
    return dims_.ParseFromArray(index.bytes.data(), static_cast<int>(index.bytes.size())) &&
           CheckNoUnknownFields(dims_).ok();
  }

 private:
  absl::string_view last_;
  absl::flat_hash_set<absl::string_view> seen_;
  v1::Dims dims_;  // Kept for its memory.
};

}  // namespace

std::optional<BatchRequestView> BatchRequestView::Read(absl::string_view bytes) {
  using Request = v1::GetTensorsRequest;
  BatchRequestView view;
  view.bytes_ = bytes;
  DimsChecker dims;
  FieldReader reader(bytes);
  while (!reader.at_end()) {
    switch (reader.ReadTag()) {
      case Tag(Request::kModelFieldNumber, kDelimited):
        view.model_ = reader.ReadText();
        break;
      case Tag(Request::kVersionFieldNumber, kDelimited):
        view.version_ = reader.ReadText();
        break;
      case Tag(Request::kSelectionsFieldNumber, kDelimited): {
        const absl::string_view selection = reader.ReadBytes();
        if (!dims.IsPlain(ReadSelection(selection, reader).index)) reader.Fail();
        break;
      }
      case Tag(Request::kOrderFieldNumber, kVarint):
        view.in_request_order_ = reader.ReadVarint(v1::ResultOrder_MAX) == v1::RESULT_ORDER_REQUEST;
        break;
      case Tag(Request::kPlanOnlyFieldNumber, kVarint):
        view.plan_only_ = reader.ReadVarint(1) == 1;
        break;
      case Tag(Request::kChunkBytesFieldNumber, kVarint):
        view.chunk_bytes_ =
            static_cast<uint32_t>(reader.ReadVarint(std::numeric_limits<uint32_t>::max()));
        break;
      case Tag(Request::kChecksumFieldNumber, kVarint):
        view.checksum_ = reader.ReadVarint(1) == 1;
        break;
      default:
        reader.Fail();
    }
  }
  if (!reader.ok()) return std::nullopt;
  return view;
}

std::optional<SelectionView> BatchRequestView::Selections::Next() {
  using Request = v1::GetTensorsRequest;
  FieldReader reader(rest_);
  std::optional<SelectionView> selection;
  while (!selection && !reader.at_end()) {
    const uint8_t tag = reader.ReadTag();
    if (tag == Tag(Request::kSelectionsFieldNumber, kDelimited)) {
      selection = ReadSelection(reader.ReadBytes(), reader);
    } else if (tag % 8 == kDelimited) {
      reader.ReadBytes();
    } else {
      reader.ReadVarint();
    }
  }
  assert(reader.ok());  // Read has seen the same.
  rest_ = reader.rest();
  return selection;
}

absl::StatusOr<std::string> CanonicalBatchRequest(absl::string_view bytes) {
  google::protobuf::Arena arena;  // A batch has many small messages.
  auto* const request = google::protobuf::Arena::CreateMessage<v1::GetTensorsRequest>(&arena);
  if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("the request cannot be parsed as ",
                                  v1::GetTensorsRequest::descriptor()->full_name()));
  }
  TENSORD_RETURN_IF_ERROR(CheckNoUnknownFields(*request));
  return request->SerializeAsString();
}

}  // namespace tensord
