// Writes safetensors files for tests: valid ones, and ones with any fault a test wants.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tensord/dtype.h"
#include "tensord/shape.h"

namespace tensord {

struct TestTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  Shape shape;
  std::string bytes;  // Its data; empty: as many bytes as dtype and shape need, counting up from 0.
};

using TestMetadata = std::optional<std::map<std::string, std::string>>;

// The JSON of a header that places the tensors one behind the other in the order given.
std::string HeaderJson(const std::vector<TestTensor>& tensors, const TestMetadata& metadata = {});

// A whole file: the length of `json`, `json`, `data`. Nothing is checked.
std::string FileOf(absl::string_view json, absl::string_view data);

// A valid file's bytes.
std::string SafetensorsBytes(const std::vector<TestTensor>& tensors,
                             const TestMetadata& metadata = {});

// Writes SafetensorsBytes to `path`, making its directories. Aborts on failure.
void WriteSafetensors(const std::string& path, const std::vector<TestTensor>& tensors,
                      const TestMetadata& metadata = {});

// Writes any bytes to `path`, making its directories. Aborts on failure.
void WriteBytes(const std::string& path, absl::string_view bytes);

// The JSON of an index with this weight_map, tensor to file.
std::string IndexJson(const std::map<std::string, std::string>& weight_map);

// Makes `path` (and its directories) a symlink to `target`, as spelled.
void WriteSymlink(const std::string& path, const std::string& target);

}  // namespace tensord
