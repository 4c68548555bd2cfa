// What a bearer token looks like.
#pragma once

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace tensord {

// A call's metadata have 8 KiB in all.
inline constexpr size_t kMaxTokenBytes = 4096;

// RFC 6750's characters: no blank, no colon, nothing that a header could not hold.
inline bool IsBearerToken(absl::string_view text) {
  constexpr absl::string_view kMarks = "-._~+/=";
  return !text.empty() && text.size() <= kMaxTokenBytes &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  kMarks.find(c) != absl::string_view::npos;
         });
}

}  // namespace tensord
