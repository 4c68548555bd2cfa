#include "server/page_token.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Checksum, query, three positions, listing; then the text.
constexpr size_t kNumberBytes = 8;
constexpr size_t kHeadBytes = 5 * kNumberBytes + 1;
// Longer than any id or version, far below gRPC's limit on a message.
constexpr size_t kMaxTokenBytes = 16'384;

void AppendNumber(std::string& out, uint64_t number) {
  for (size_t i = 0; i < kNumberBytes; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t NumberAt(absl::string_view bytes, size_t index) {
  uint64_t number = 0;
  for (size_t i = kNumberBytes; i > 0; --i) {
    number = number << 8 | static_cast<unsigned char>(bytes[index * kNumberBytes + i - 1]);
  }
  return number;
}

absl::Status BadToken(absl::string_view text, absl::string_view why) {
  return MakeError(ErrorReason::kBadPageToken,
                   absl::StrCat("page token ", Quote(text), " ", why,
                                ": wanted next_page_token of the page before, with all other ",
                                "fields as they were"));
}

}  // namespace

Query& Query::Add(absl::string_view text) {
  Add(text.size());  // So that {"ab", "c"} differs from {"a", "bc"}.
  for (const char c : text) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return *this;
}

Query& Query::Add(uint64_t number) {
  for (size_t i = 0; i < kNumberBytes; ++i) {
    hash_ = (hash_ ^ (number >> (8 * i) & 0xff)) * 0x100000001b3;
  }
  return *this;
}

std::string PageToken::Encode() const {
  std::string body;
  AppendNumber(body, query);
  for (const uint64_t number : position) AppendNumber(body, number);
  body.push_back(static_cast<char>(listing));
  body += text;
  std::string token;
  AppendNumber(token, Query().Add(body).hash());
  return absl::WebSafeBase64Escape(token + body);
}

absl::StatusOr<PageToken> PageToken::Decode(absl::string_view text, Listing listing,
                                            uint64_t query) {
  std::string bytes;
  if (text.size() > kMaxTokenBytes || !absl::WebSafeBase64Unescape(text, &bytes) ||
      bytes.size() < kHeadBytes) {
    return BadToken(text, "is not one of this server");
  }
  PageToken token;
  token.listing = static_cast<Listing>(bytes[kHeadBytes - 1]);
  token.query = NumberAt(bytes, 1);
  for (size_t i = 0; i < token.position.size(); ++i) token.position[i] = NumberAt(bytes, 2 + i);
  token.text = bytes.substr(kHeadBytes);
  // Whatever differs in the slightest, padding and white space included, is not ours.
  if (token.Encode() != text) return BadToken(text, "is not one of this server");
  if (token.listing != listing) return BadToken(text, "is of another call");
  if (token.query != query) return BadToken(text, "is of a request with other fields");
  return token;
}

absl::StatusOr<PageToken> PageToken::DecodeFor(absl::string_view text, Listing listing,
                                               uint64_t query, absl::string_view version) {
  TENSORD_ASSIGN_OR_RETURN(PageToken token, Decode(text, listing, query));
  if (token.text == version) return token;
  return MakeError(ErrorReason::kVersionChanged,
                   absl::StrCat("the model has version ", Quote(version),
                                " now, and the page token is of version ", Quote(token.text),
                                ": list from the beginning"));
}

}  // namespace tensord
