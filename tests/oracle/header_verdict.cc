// Says of safetensors files what the server would: one line each, "OK <tensors>" or the error.
// For scripts that compare verdicts with the reference implementation's.
//
//   tensord_header_verdict FILE...      reads files
//   tensord_header_verdict --stdin      reads their contents, each behind its size (u64,
//                                       little-endian); prints what the header holds, too:
//     OK <tensors> TAB <metadata> {TAB <name>:<dtype>:<shape>:<offset>:<size>}
//   where metadata is "-" or "{<key>=<value>,...}", names, keys and values are in hex, and offsets
//   count from the beginning of the file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "src/safetensors_file.h"

namespace tensord {
namespace {

std::string MetadataText(const SafetensorsHeader& header) {
  if (!header.has_metadata()) return "-";
  std::string text = "{";
  for (size_t i = 0; i < header.num_metadata_entries(); ++i) {
    const SafetensorsHeader::MetadataEntry entry = header.metadata(i);
    absl::StrAppend(&text, i == 0 ? "" : ",", absl::BytesToHexString(entry.key), "=",
                    absl::BytesToHexString(entry.value));
  }
  return text + "}";
}

std::string TensorText(const SafetensorsHeader::Entry& entry) {
  return absl::StrCat(absl::BytesToHexString(entry.name), ":", DtypeName(entry.dtype), ":",
                      absl::StrJoin(entry.shape, ","), ":", entry.offset_bytes, ":",
                      entry.size_bytes);
}

std::string Verdict(const absl::StatusOr<SafetensorsFile>& file, bool with_contents) {
  if (!file.ok()) return std::string(file.status().message());
  const SafetensorsHeader& header = *file->header;
  std::string text = absl::StrCat("OK ", header.num_tensors());
  if (!with_contents) return text;
  absl::StrAppend(&text, "\t", MetadataText(header));
  for (size_t i = 0; i < header.num_tensors(); ++i) {
    absl::StrAppend(&text, "\t", TensorText(header.tensor(i)));
  }
  return text;
}

// Through a descriptor, as the server reads.
absl::StatusOr<SafetensorsFile> ReadContent(const std::string& content) {
  const int fd = memfd_create("content", MFD_CLOEXEC);
  if (fd < 0) return absl::InternalError("memfd_create failed");
  if (write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    close(fd);
    return absl::InternalError("cannot write the memfd");
  }
  absl::StatusOr<SafetensorsFile> file = ReadSafetensorsFile(fd);
  close(fd);
  return file;
}

int JudgeStdin() {
  uint64_t size = 0;
  std::string content;
  while (std::cin.read(reinterpret_cast<char*>(&size), sizeof(size))) {
    content.resize(size);
    if (!std::cin.read(content.data(), static_cast<std::streamsize>(size))) return 2;
    std::cout << Verdict(ReadContent(content), /*with_contents=*/true) << '\n';
  }
  std::cout.flush();
  return std::cin.gcount() == 0 ? 0 : 2;
}

}  // namespace
}  // namespace tensord

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  if (argc == 2 && absl::string_view(argv[1]) == "--stdin") return tensord::JudgeStdin();
  for (int i = 1; i < argc; ++i) {
    std::cout << tensord::Verdict(tensord::OpenSafetensorsFile(argv[i]), false) << '\n';
  }
  return 0;
}
