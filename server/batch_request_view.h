// A GetTensorsRequest read where it lies: 100,000 selections as messages of their own would cost
// more than reading their tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// The index of a selection, as the wire says it.
struct IndexView {
  enum class Kind : uint8_t { kWhole, kText, kDims };
  Kind kind = Kind::kWhole;
  absl::string_view
      bytes;  // The text, or an encoded v1::Dims that parses and has no unknown field.
};

// v1::ByteRange.
struct RangeView {
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

// v1::Selection as views.
struct SelectionView {
  enum class Target : uint8_t { kNone, kTensor, kPattern };
  Target target = Target::kNone;
  absl::string_view name;  // Or the pattern.
  IndexView index;
  std::optional<RangeView> range;
};

// A view of a request's bytes, which must outlive it. A value.
class BatchRequestView {
 public:
  // nullopt unless the request is plain: what protobuf would read without doubt and without unknown
  // fields, each field of a selection at most once and written as every encoder does. Only protobuf
  // can judge the rest, see Canonical.
  static std::optional<BatchRequestView> Read(absl::string_view bytes);

  size_t size_bytes() const { return bytes_.size(); }
  absl::string_view model() const { return model_; }
  absl::string_view version() const { return version_; }
  bool in_request_order() const { return in_request_order_; }
  bool plan_only() const { return plan_only_; }
  uint32_t chunk_bytes() const { return chunk_bytes_; }
  bool checksum() const { return checksum_; }

  // Takes the selections one after another, so that they need no memory.
  class Selections {
   public:
    // The next one; nullopt at the end.
    std::optional<SelectionView> Next();

   private:
    friend class BatchRequestView;
    explicit Selections(absl::string_view rest) : rest_(rest) {}
    absl::string_view rest_;
  };
  Selections selections() const { return Selections(bytes_); }

 private:
  BatchRequestView() = default;

  absl::string_view bytes_;
  absl::string_view model_;
  absl::string_view version_;
  bool in_request_order_ = false;
  bool plan_only_ = false;
  uint32_t chunk_bytes_ = 0;
  bool checksum_ = false;
};

// The bytes of any GetTensorsRequest as protobuf understands and writes them, which are plain.
// Errors: BAD_REQUEST for what protobuf cannot parse, and as CheckNoUnknownFields.
absl::StatusOr<std::string> CanonicalBatchRequest(absl::string_view bytes);

}  // namespace tensord
