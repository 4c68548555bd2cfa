// What is known of a model without reading its data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensord/dtype.h"
#include "tensord/error_reason.h"

namespace tensord {

// As on the wire (`tensord.v1.ModelState`).
enum class ModelState : int {
  kReady = 1,       // Every tensor is served.
  kIncomplete = 2,  // Some files are missing or invalid; the other tensors are served.
  kInvalid = 3,     // Nothing can be served.
};

// Why (part of) a model is not served.
struct Problem {
  std::string file;  // Relative to the model; empty when it concerns the model as a whole.
  ErrorReason reason = ErrorReason::kUnspecified;
  std::string variant;  // The reference's error name for an invalid file, else empty.
  std::string message;  // A sentence; names in it are escaped.
};

// How much of a model one dtype makes up.
struct DtypeUsage {
  Dtype dtype = Dtype::kU8;
  uint64_t num_tensors = 0;
  uint64_t num_parameters = 0;
  uint64_t size_bytes = 0;
};

// One entry of a file's `__metadata__`, passed through and never parsed.
struct MetadataEntry {
  std::string key;
  std::string value;
  uint64_t value_bytes = 0;  // Of the whole value: more than value.size() where it was cut.
};

// One safetensors file of a model.
struct FileInfo {
  std::string name;           // Relative to the model, e.g. "model-00001-of-00002.safetensors".
  uint64_t size_bytes = 0;    // 0 when it is missing.
  uint64_t header_bytes = 0;  // Of the JSON header, without the 8 bytes of its length.
  uint64_t num_tensors = 0;
  std::string sha256;  // 64 hex digits where a hub cache's blob name says it, else empty.
  // Absent: the file has no `__metadata__`, which is not the same as an empty one.
  std::optional<std::vector<MetadataEntry>> metadata;
};

// A file beside the model's own: config.json, tokenizer.model and the like.
struct SideFile {
  std::string name;  // Relative to the model's directory.
  uint64_t size_bytes = 0;
  std::string sha256;  // As FileInfo's.
};

struct ModelInfo {
  std::string id;          // Canonical, e.g. "gpt2/model"; never changes.
  std::string short_name;  // The shortest name that means this model now, e.g. "gpt2".
  std::string version;     // Opaque; equal versions mean equal bytes.
  ModelState state = ModelState::kReady;
  uint64_t num_files = 0;  // Missing ones included.
  uint64_t num_tensors = 0;
  uint64_t num_parameters = 0;
  uint64_t size_bytes = 0;         // Of all tensors' data.
  std::vector<DtypeUsage> dtypes;  // Only those that occur.
  std::vector<Problem> problems;   // Why it is not kReady.

  // In order of name. Client::GetMetadata fills these two, Client::ListModels leaves them empty.
  std::vector<FileInfo> files;
  std::vector<SideFile> side_files;
};

}  // namespace tensord
