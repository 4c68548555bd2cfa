// Encodes a TensorChunk by hand, so that the data of a part may be memory that follows its prefix.
//
// A part is its prefix, up to and including the length of `data`, and then the data itself, which
// is encoded last for this reason. Sizes are exact, because they come before what they measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tensord {

// v1::StreamInfo as views.
struct StreamInfoView {
  absl::string_view model;
  absl::string_view version;
  uint32_t num_results = 0;
  uint64_t size_bytes = 0;
};

// v1::TensorHeader as views.
struct TensorHeaderView {
  absl::string_view layout;  // As EncodeTensorLayout makes it.
  absl::string_view tensor;
  uint32_t selection = 0;
};

// v1::ResultError as views.
struct ResultErrorView {
  int32_t code = 0;
  int32_t reason = 0;
  absl::string_view message;
};

// v1::TensorPart as views, without its data.
struct TensorPartView {
  uint32_t result = 0;
  std::optional<TensorHeaderView> header;
  uint64_t offset_bytes = 0;
  bool has_crc32c = false;
  std::optional<ResultErrorView> error;
  uint64_t data_bytes = 0;  // At most 2^31.
};

// Bytes that EncodeStreamInfo writes: the field `info` with its tag.
size_t StreamInfoSize(const StreamInfoView& info);
void EncodeStreamInfo(const StreamInfoView& info, absl::Span<std::byte> out);

// The fields of a v1::TensorHeader that results of one kind share: encoded once for all of them.
std::string EncodeTensorLayout(absl::string_view dtype, absl::Span<const uint64_t> shape,
                               uint64_t size_bytes);

// Bytes that EncodePartPrefix writes: everything of a part but its data.
size_t PartPrefixSize(const TensorPartView& part);

// Where the checksum is to be written once it is known; empty unless part.has_crc32c.
absl::Span<std::byte> EncodePartPrefix(const TensorPartView& part, absl::Span<std::byte> out);

// Writes the checksum into what EncodePartPrefix returned.
void EncodeCrc32c(uint32_t crc, absl::Span<std::byte> out);

}  // namespace tensord
