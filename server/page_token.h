// Where a listing goes on.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// What `next_page_token` holds: all that is needed to go on, so that any replica can and the server
// remembers nothing. As text it is base64url with a checksum: a guard against mistakes, not against
// forgery, which would only skip entries that the forger may read anyway.
struct PageToken {
  enum class Listing : uint8_t { kModels = 1, kTensors = 2, kMetadata = 3 };

  Listing listing = Listing::kModels;
  // Query::hash() of what the listing was asked for; a token fits only the same question.
  uint64_t query = 0;
  // Models: the last id of the page. Else the version of the model.
  std::string text;
  // Tensors: {place in the order}. Metadata: {side file, file, entry of the file}.
  std::array<uint64_t, 3> position = {};

  std::string Encode() const;

  // BAD_PAGE_TOKEN when `text` is not what Encode made of a token for this listing and query.
  static absl::StatusOr<PageToken> Decode(absl::string_view text, Listing listing, uint64_t query);

  // As Decode, for a listing of a model: VERSION_CHANGED naming both versions when the token is of
  // another one.
  static absl::StatusOr<PageToken> DecodeFor(absl::string_view text, Listing listing,
                                             uint64_t query, absl::string_view version);
};

// Hashes the fields of a request that decide what is listed. Equal on every machine.
class Query {
 public:
  Query& Add(absl::string_view text);
  Query& Add(uint64_t number);
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;  // FNV-1a, 64 bits.
};

}  // namespace tensord
