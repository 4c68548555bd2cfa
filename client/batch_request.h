// Cuts a list of selections of any length into GetTensors requests of bounded size.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tensord/read_request.h"
#include "tensord/slice.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Below the 4 MiB that gRPC servers take, with room for what a proxy or a later field may add.
inline constexpr size_t kMaxRequestBytes = 1 << 20;

// One selection of a request, as views.
struct SelectionView {
  absl::string_view target;  // A tensor's name, or a pattern.
  bool is_pattern = false;
  const Slice* slice = nullptr;      // Never null when it is added.
  const ByteRange* range = nullptr;  // Null: all bytes.
};

// One encoded GetTensorsRequest. Written by hand, straight behind each other: as messages of their
// own 100,000 selections cost as much as all that follows.
class BatchRequest {
 public:
  // `common` has all fields but the selections.
  explicit BatchRequest(const v1::GetTensorsRequest& common);

  // Appends a selection. False when the request is full, which it never is for the first, however
  // long; then nothing was appended. Errors: BAD_SLICE as SetIndex.
  absl::StatusOr<bool> Add(const SelectionView& selection);

  size_t num_selections() const { return num_selections_; }
  const std::string& bytes() const { return bytes_; }

 private:
  absl::Status EncodeIndex(const Slice& slice);

  std::string bytes_;
  size_t num_selections_ = 0;
  // The slice that was encoded last, and its field in a Selection: neighbours often have the same.
  Slice slice_;
  std::string index_;
};

}  // namespace tensord
