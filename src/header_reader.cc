#include "src/header_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "rapidjson/error/en.h"
#include "rapidjson/reader.h"
#include "src/format_error.h"
#include "src/header_handler.h"
#include "src/utf8.h"

namespace tensord {
namespace {

// In situ: strings are decoded where they stand, without a stack of an attacker's choosing.
// Encoding was checked before, at 8 bytes a step.
constexpr unsigned kParseFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseInsituFlag |
                                 rapidjson::kParseNumbersAsStringsFlag;

absl::Status JsonError(absl::string_view problem, absl::string_view json, size_t position) {
  const absl::string_view before = json.substr(0, position);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column =
      newline == absl::string_view::npos ? before.size() + 1 : before.size() - newline;
  return FormatError(FormatRule::kInvalidHeaderDeserialization,
                     absl::StrCat(absl::StripSuffix(problem, "."), " at line ", line, ", column ",
                                  column, " (byte ", before.size(), " of the JSON)"));
}

// What RapidJSON does not check: strict UTF-8, and a NUL, which it takes for the end.
absl::Status CheckBytes(absl::string_view json) {
  const size_t invalid = FindInvalidUtf8(json);
  if (invalid != json.size()) {
    return FormatError(FormatRule::kInvalidHeader,
                       absl::StrCat("byte ", invalid, " of the JSON is not UTF-8"));
  }
  const size_t nul = json.find('\0');
  if (nul != absl::string_view::npos) return JsonError("NUL byte", json, nul);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RawHeader> ReadHeaderJson(absl::string_view json) {
  if (absl::Status status = CheckBytes(json); !status.ok()) return status;
  RawHeader header;
  header.text = std::make_unique_for_overwrite<char[]>(json.size() + 1);
  std::memcpy(header.text.get(), json.data(), json.size());
  header.text[json.size()] = '\0';

  HeaderHandler handler(header, json.find('\\') != absl::string_view::npos);
  rapidjson::InsituStringStream stream(header.text.get());
  rapidjson::Reader reader;
  const rapidjson::ParseResult result = reader.Parse<kParseFlags>(stream, handler);
  if (!result.IsError()) return header;
  return JsonError(result.Code() == rapidjson::kParseErrorTermination
                       ? absl::string_view(handler.error())
                       : absl::string_view(rapidjson::GetParseError_En(result.Code())),
                   json, result.Offset());
}

}  // namespace tensord
