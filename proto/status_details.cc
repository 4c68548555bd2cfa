#include "proto/status_details.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"
#include "src/utf8.h"
#include "src/wire_reader.h"

namespace tensord {
namespace {

constexpr absl::string_view kDomain = "tensord";
constexpr absl::string_view kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr absl::string_view kRetryInfoUrl = "type.googleapis.com/google.rpc.RetryInfo";

// Trailers: the message percent-encoded (1 KiB) + base64 of the message (1 KiB), of ErrorInfo's
// metadata (0.75 KiB) and of 250 bytes around them, which is 4/3 of 2 KiB: 3.7 KiB in all.
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxMetadataBytes = 768;

// Between the reason and the message where there are no details.
constexpr absl::string_view kReasonEnd = ": ";

constexpr uint64_t kMaxDelayMs = 24ull * 3600 * 1000;  // A day; nobody waits longer.

using Details = std::map<std::string, std::string>;

// ---- Writing ----

void AppendVarint(std::string& out, uint64_t value) {
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream(&stream).WriteVarint64(value);
}

void AppendVarintField(std::string& out, uint32_t number, uint64_t value) {
  if (value == 0) return;
  AppendVarint(out, uint64_t{number} << 3 | static_cast<uint32_t>(WireField::Type::kVarint));
  AppendVarint(out, value);
}

void AppendBytesField(std::string& out, uint32_t number, absl::string_view bytes) {
  AppendVarint(out, uint64_t{number} << 3 | static_cast<uint32_t>(WireField::Type::kBytes));
  AppendVarint(out, bytes.size());
  out.append(bytes.data(), bytes.size());
}

// How many bytes gRPC makes of a byte in the trailer "grpc-message".
size_t EncodedSize(char c) { return c >= 0x20 && c < 0x7f && c != '%' ? 1 : 3; }

// `text` as proto3 wants its strings.
std::string ValidText(absl::string_view text) {
  return IsValidUtf8(text) ? std::string(text) : Escape(text);
}

// `text` in a form that takes at most `max_bytes` when it is percent-encoded.
std::string CutText(absl::string_view text, size_t max_bytes) {
  std::string valid = ValidText(text);
  size_t encoded = 0;
  size_t fits = 0;  // Leaves room for the dots.
  for (size_t i = 0; i < valid.size(); ++i) {
    if (encoded + 3 <= max_bytes) fits = i;
    encoded += EncodedSize(valid[i]);
    if (encoded > max_bytes) return absl::StrCat(Utf8Prefix(valid, fits), "...");
  }
  return valid;
}

std::string EncodeErrorInfo(ErrorReason reason, const Details& details) {
  std::string info;
  AppendBytesField(info, 1, ErrorReasonName(reason));
  AppendBytesField(info, 2, kDomain);
  size_t left = kMaxMetadataBytes;
  for (const auto& [key, value] : details) {
    if (key == kRetryDetail) continue;
    std::string entry;
    AppendBytesField(entry, 1, Utf8Prefix(ValidText(key), kMaxShownBytes));
    AppendBytesField(entry, 2, Utf8Prefix(ValidText(value), kMaxShownBytes));
    if (entry.size() + 3 > left) break;
    left -= entry.size() + 3;
    AppendBytesField(info, 3, entry);
  }
  return info;
}

std::string EncodeRetryInfo(std::chrono::milliseconds delay) {
  const auto ms = static_cast<uint64_t>(delay.count());
  std::string duration;
  AppendVarintField(duration, 1, ms / 1000);
  AppendVarintField(duration, 2, ms % 1000 * 1'000'000);
  std::string info;
  AppendBytesField(info, 1, duration);
  return info;
}

void AppendAny(std::string& status, absl::string_view url, absl::string_view value) {
  std::string any;
  AppendBytesField(any, 1, url);
  AppendBytesField(any, 2, value);
  AppendBytesField(status, 3, any);
}

// ---- Reading ----

// Calls `visit` for every field of `message`, until it or the message fails.
template <typename Visit>
absl::Status ForEachField(absl::string_view message, Visit visit) {
  WireReader reader(message);
  while (true) {
    TENSORD_ASSIGN_OR_RETURN(const std::optional<WireField> field, reader.Next());
    if (!field) return absl::OkStatus();
    TENSORD_RETURN_IF_ERROR(visit(*field));
  }
}

bool IsBytes(const WireField& field, uint32_t number) {
  return field.number == number && field.type == WireField::Type::kBytes;
}

bool IsVarint(const WireField& field, uint32_t number) {
  return field.number == number && field.type == WireField::Type::kVarint;
}

// What of google.rpc.Status we understand.
struct DecodedStatus {
  int64_t code = 0;
  std::string domain;
  std::string reason;
  Details details;
};

absl::Status DecodeEntry(absl::string_view message, Details& details) {
  std::string key;
  std::string value;
  TENSORD_RETURN_IF_ERROR(ForEachField(message, [&](const WireField& field) {
    if (IsBytes(field, 1)) key = std::string(field.bytes);
    if (IsBytes(field, 2)) value = std::string(field.bytes);
    return absl::OkStatus();
  }));
  if (key != kRetryDetail) details[key] = value;  // The hint is RetryInfo's to give.
  return absl::OkStatus();
}

absl::Status DecodeErrorInfo(absl::string_view message, DecodedStatus& status) {
  return ForEachField(message, [&](const WireField& field) -> absl::Status {
    if (IsBytes(field, 1)) status.reason = std::string(field.bytes);
    if (IsBytes(field, 2)) status.domain = std::string(field.bytes);
    if (IsBytes(field, 3)) return DecodeEntry(field.bytes, status.details);
    return absl::OkStatus();
  });
}

absl::Status DecodeRetryInfo(absl::string_view message, std::optional<uint64_t>& delay_ms) {
  int64_t seconds = 0;
  int64_t nanos = 0;
  TENSORD_RETURN_IF_ERROR(ForEachField(message, [&](const WireField& field) -> absl::Status {
    if (!IsBytes(field, 1)) return absl::OkStatus();
    return ForEachField(field.bytes, [&](const WireField& part) {
      if (IsVarint(part, 1)) seconds = static_cast<int64_t>(part.value);
      if (IsVarint(part, 2)) nanos = static_cast<int64_t>(part.value);
      return absl::OkStatus();
    });
  }));
  if (seconds < 0 || nanos < 0 || nanos > 999'999'999) return absl::OkStatus();
  const uint64_t whole_ms =
      seconds > 1'000'000 ? kMaxDelayMs : static_cast<uint64_t>(seconds) * 1000;
  delay_ms = std::min(kMaxDelayMs, whole_ms + (static_cast<uint64_t>(nanos) + 999'999) / 1'000'000);
  return absl::OkStatus();
}

absl::Status DecodeAny(absl::string_view message, DecodedStatus& status,
                       std::optional<uint64_t>& delay_ms) {
  absl::string_view url;
  absl::string_view value;
  TENSORD_RETURN_IF_ERROR(ForEachField(message, [&](const WireField& field) {
    if (IsBytes(field, 1)) url = field.bytes;
    if (IsBytes(field, 2)) value = field.bytes;
    return absl::OkStatus();
  }));
  // Any's rule: only what follows the last slash names the type.
  if (absl::EndsWith(url, "/google.rpc.ErrorInfo")) return DecodeErrorInfo(value, status);
  if (absl::EndsWith(url, "/google.rpc.RetryInfo")) return DecodeRetryInfo(value, delay_ms);
  return absl::OkStatus();
}

absl::StatusOr<DecodedStatus> DecodeStatus(absl::string_view message) {
  DecodedStatus status;
  std::optional<uint64_t> delay_ms;
  TENSORD_RETURN_IF_ERROR(ForEachField(message, [&](const WireField& field) -> absl::Status {
    if (IsVarint(field, 1)) status.code = static_cast<int64_t>(field.value);
    if (IsBytes(field, 3)) return DecodeAny(field.bytes, status, delay_ms);
    return absl::OkStatus();
  }));
  if (delay_ms) status.details[kRetryDetail] = absl::StrCat(*delay_ms);
  return status;
}

// See BareMessage.
absl::Status FromBareMessage(absl::StatusCode code, absl::string_view message) {
  const size_t end = message.find(kReasonEnd);
  if (end != absl::string_view::npos) {
    const ErrorReason reason = ParseErrorReason(message.substr(0, end));
    if (reason != ErrorReason::kUnspecified && CodeOf(reason) == code) {
      return MakeError(reason, message.substr(end + kReasonEnd.size()));
    }
  }
  return absl::Status(code, message);
}

absl::StatusCode CodeFromGrpc(grpc::StatusCode code) {
  const int number = static_cast<int>(code);
  if (number < 0 || number > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::StatusCode::kUnknown;
  }
  return static_cast<absl::StatusCode>(number);
}

}  // namespace

std::optional<std::chrono::milliseconds> RetryDelay(const absl::Status& status) {
  const Details details = ErrorDetails(status);
  const auto found = details.find(kRetryDetail);
  uint64_t ms = 0;
  if (found == details.end() || !absl::SimpleAtoi(found->second, &ms)) return std::nullopt;
  return std::chrono::milliseconds(std::min(ms, kMaxDelayMs));
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = CutText(status.message(), kMaxMessageBytes);
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const ErrorReason reason = ReasonOf(status);
  const auto delay = RetryDelay(status);
  if (reason == ErrorReason::kUnspecified && !delay) return {code, message};
  std::string details;
  AppendVarintField(details, 1, static_cast<uint64_t>(code));
  AppendBytesField(details, 2, message);
  if (reason != ErrorReason::kUnspecified) {
    AppendAny(details, kErrorInfoUrl, EncodeErrorInfo(reason, ErrorDetails(status)));
  }
  if (delay) AppendAny(details, kRetryInfoUrl, EncodeRetryInfo(*delay));
  return {code, message, details};
}

std::string BareMessage(const absl::Status& status) {
  const ErrorReason reason = ReasonOf(status);
  const std::string message = CutText(status.message(), kMaxMessageBytes);
  if (reason == ErrorReason::kUnspecified) return message;
  return absl::StrCat(ErrorReasonName(reason), kReasonEnd, message);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const absl::StatusCode code = CodeFromGrpc(status.error_code());
  if (status.error_details().empty()) return FromBareMessage(code, status.error_message());
  absl::Status plain(code, status.error_message());
  const auto decoded = DecodeStatus(status.error_details());
  if (!decoded.ok() || decoded->code != static_cast<int64_t>(code)) return plain;
  const ErrorReason reason =
      decoded->domain == kDomain ? ParseErrorReason(decoded->reason) : ErrorReason::kUnspecified;
  if (reason != ErrorReason::kUnspecified && CodeOf(reason) == code) {
    return MakeError(reason, status.error_message(), decoded->details);
  }
  const auto retry = decoded->details.find(kRetryDetail);
  if (retry != decoded->details.end()) SetErrorDetail(plain, retry->first, retry->second);
  return plain;
}

}  // namespace tensord
