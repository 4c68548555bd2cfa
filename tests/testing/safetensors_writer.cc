#include "tests/testing/safetensors_writer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace tensord {
namespace {

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", absl::string_view(&c, 1));
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string JsonObject(const std::map<std::string, std::string>& strings) {
  return absl::StrCat("{",
                      absl::StrJoin(strings, ",",
                                    [](std::string* out, const auto& entry) {
                                      absl::StrAppend(out, JsonString(entry.first), ":",
                                                      JsonString(entry.second));
                                    }),
                      "}");
}

std::string DataOf(const TestTensor& tensor) {
  if (!tensor.bytes.empty()) return tensor.bytes;
  uint64_t num_elements = 1;
  for (const uint64_t extent : tensor.shape) num_elements *= extent;
  std::string bytes(num_elements * BitsPerElement(tensor.dtype) / 8, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

}  // namespace

std::string HeaderJson(const std::vector<TestTensor>& tensors, const TestMetadata& metadata) {
  std::vector<std::string> entries;
  if (metadata) entries.push_back(absl::StrCat("\"__metadata__\":", JsonObject(*metadata)));
  uint64_t begin = 0;
  for (const TestTensor& tensor : tensors) {
    const uint64_t end = begin + DataOf(tensor).size();
    entries.push_back(absl::StrCat(
        JsonString(tensor.name), ":{\"dtype\":\"", DtypeName(tensor.dtype), "\",\"shape\":[",
        absl::StrJoin(tensor.shape, ","), "],\"data_offsets\":[", begin, ",", end, "]}"));
    begin = end;
  }
  return absl::StrCat("{", absl::StrJoin(entries, ","), "}");
}

std::string FileOf(absl::string_view json, absl::string_view data) {
  std::string file;
  for (size_t i = 0; i < sizeof(uint64_t); ++i) {
    file += static_cast<char>(uint64_t{json.size()} >> (8 * i) & 0xff);
  }
  absl::StrAppend(&file, json, data);
  return file;
}

std::string SafetensorsBytes(const std::vector<TestTensor>& tensors, const TestMetadata& metadata) {
  std::string data;
  for (const TestTensor& tensor : tensors) data += DataOf(tensor);
  return FileOf(HeaderJson(tensors, metadata), data);
}

void WriteSafetensors(const std::string& path, const std::vector<TestTensor>& tensors,
                      const TestMetadata& metadata) {
  WriteBytes(path, SafetensorsBytes(tensors, metadata));
}

void WriteBytes(const std::string& path, absl::string_view bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) std::abort();
}

std::string IndexJson(const std::map<std::string, std::string>& weight_map) {
  return absl::StrCat("{\"metadata\":{\"total_size\":1.5},\"weight_map\":", JsonObject(weight_map),
                      "}");
}

void WriteSymlink(const std::string& path, const std::string& target) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::filesystem::create_symlink(target, path);
}

}  // namespace tensord
