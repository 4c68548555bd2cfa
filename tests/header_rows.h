// Headers for tests, as text, and what is said of those that are refused.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/safetensors_header.h"
#include "tensord/error_reason.h"

namespace tensord {

// A header `json` in a file with `data_bytes` of data behind it.
inline absl::StatusOr<SafetensorsHeader> ParseHeader(const std::string& json, uint64_t data_bytes) {
  return SafetensorsHeader::Parse(json, kHeaderLengthBytes + json.size() + data_bytes);
}

inline std::string Nested(int num_arrays) {
  return std::string(num_arrays, '[') + std::string(num_arrays, ']');
}

// One tensor of 2 F32, with `extra` inside its entry.
inline std::string WithExtra(const std::string& extra) {
  return R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8],)" + extra + "}}";
}

inline std::string WithShape(const std::string& shape) {
  return R"({"x":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,4]}})";
}

inline std::string WithOffsets(const std::string& offsets) {
  return R"({"x":{"dtype":"U8","shape":[4],"data_offsets":)" + offsets + "}}";
}

inline std::string WithMetadata(const std::string& metadata) {
  return R"({"__metadata__":)" + metadata + "}";
}

inline constexpr char kJson[] = "InvalidHeaderDeserialization";

struct RejectedRow {
  const char* name;
  std::string json;
  uint64_t data_bytes;
  const char* variant;
  const char* message;  // A part of it.
};

inline void ExpectRejected(const RejectedRow& row) {
  const absl::Status status = ParseHeader(row.json, row.data_bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileInvalid);
  EXPECT_EQ(ErrorDetails(status)["variant"], row.variant);
  EXPECT_THAT(std::string(status.message()), testing::StartsWith(absl::StrCat(row.variant, ": ")));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(row.message));
}

}  // namespace tensord
