// The log: lines on stderr, of constant texts and named values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/flags.h"

namespace tensord {

// A named value of a line: `model` and "gpt2", `bytes` and 548105171.
struct LogField {
  absl::string_view name;
  std::variant<std::string, uint64_t, double> value;
};

// Sets up format and level, and makes gRPC's and protobuf's own lines ours, on level debug. To be
// called once, before anything is logged.
void StartLog(LogFormat format, const std::string& level);

// Write one line. `message` is a constant text, so that lines can be counted by it; whatever varies
// is a field. Values may come from files and clients: whatever they hold, a line stays one line.
// The same line appears once a second at most, with the field `suppressed` for those between.
// Thread-safe.
void LogInfo(absl::string_view message, absl::Span<const LogField> fields);
void LogWarning(absl::string_view message, absl::Span<const LogField> fields);
void LogError(absl::string_view message, absl::Span<const LogField> fields);

// Lines since StartLog that standard error did not take: nobody reads it, or its disk is full.
// Thread-safe.
uint64_t NumLostLogLines();

// The line by which scripts learn the address: it holds `listening address=ADDRESS` in both
// formats and at every level, which is contract.
void LogListening(const std::string& address);

}  // namespace tensord
