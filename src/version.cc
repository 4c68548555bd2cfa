#include "src/version.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "src/sha256.h"

namespace tensord {
namespace {

// Lengths stand before texts, so that no two lists spell the same bytes.
void AppendField(std::string& out, absl::string_view field) {
  absl::StrAppend(&out, field.size(), ":", field);
}

}  // namespace

std::string ComputeVersion(std::vector<VersionedFile> files) {
  std::sort(files.begin(), files.end(),
            [](const VersionedFile& a, const VersionedFile& b) { return a.name < b.name; });
  std::string text = "tensord 1\n";
  for (const VersionedFile& file : files) {
    AppendField(text, file.name);
    AppendField(text, absl::StrCat(file.size_bytes));
    AppendField(text, file.header_digest);
    AppendField(text, file.content_tag);
  }
  // 128 bits: no collision by chance, and short enough for people to compare.
  constexpr size_t kVersionBytes = 16;
  return absl::BytesToHexString(Sha256(text).substr(0, kVersionBytes));
}

}  // namespace tensord
