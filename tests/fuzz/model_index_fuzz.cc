// Any bytes as an index: read or refused with a reason; what is read is sorted, refers to its own
// files, and resolves to paths that stay below the root.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/model_index.h"

namespace {

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

void CheckPath(absl::string_view value) {
  const auto path = tensord::ResolveIndexFile("a/b", value);
  if (!path.ok()) {
    Check(tensord::ReasonOf(path.status()) == tensord::ErrorReason::kFileInvalid,
          "the reason is FILE_INVALID");
    return;
  }
  Check(absl::StartsWith(*path, "a/b/"), "a file lies below its index");
  Check(!absl::StrContains(absl::StrCat("/", *path, "/"), "/../"), "no path goes up");
  Check(absl::EndsWith(*path, ".safetensors"), "a shard is a safetensors file");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view json(reinterpret_cast<const char*>(data), size);
  const auto index = tensord::ModelIndex::Parse(json);
  if (!index.ok()) {
    Check(tensord::ReasonOf(index.status()) == tensord::ErrorReason::kFileInvalid,
          "the reason is FILE_INVALID");
    Check(index.status().message().size() < 2000, "the message is short");
    return 0;
  }
  Check(index->size_bytes() == size, "the size is the text's");
  for (size_t i = 0; i < index->num_tensors(); ++i) {
    Check(index->entry(i).file < index->files().size(), "a tensor's file is one of the index");
    Check(i == 0 || index->entry(i - 1).tensor < index->entry(i).tensor,
          "tensors are sorted, each once");
  }
  for (size_t i = 0; i < index->files().size(); ++i) {
    Check(i == 0 || index->files()[i - 1] < index->files()[i], "files are sorted, each once");
    CheckPath(index->files()[i]);
  }
  return 0;
}
