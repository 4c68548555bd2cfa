// A directory for one test.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"

namespace tensord {

// Exists as long as the object; made under TMPDIR or /tmp, removed with all it holds.
class TempDir {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "tensord-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string Path(absl::string_view name) const { return path_ + "/" + std::string(name); }

  // Writes a file, with the directories its name needs, and returns its path.
  std::string Write(absl::string_view name, absl::string_view content) const {
    const std::string path = Path(name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    if (!file) std::abort();
    return path;
  }

 private:
  std::string path_;
};

}  // namespace tensord
