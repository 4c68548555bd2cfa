// A model: the tensors of one file, or of the shards of one checkpoint, under one name and version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "src/mapped_file.h"
#include "src/safetensors_header.h"
#include "tensord/dtype.h"
#include "tensord/error_reason.h"
#include "tensord/model_info.h"

namespace tensord {

// One safetensors file of a model.
struct ModelFile {
  std::string name;  // Relative to the model's directory.
  uint64_t size_bytes = 0;
  std::string sha256;  // 64 hex digits where the hub's blob name says it, else empty.
  std::shared_ptr<const SafetensorsHeader> header;  // Null when the file is missing or invalid.
};

// Immutable, thread-safe; views it returns live as long as the model.
class Model {
 public:
  // A tensor of the model's view: where an index decides, only what the index names.
  struct Tensor {
    absl::string_view name;
    Dtype dtype = Dtype::kU8;
    absl::Span<const uint64_t> shape;
    uint64_t size_bytes = 0;
    size_t file = 0;            // Into files().
    uint64_t offset_bytes = 0;  // In that file.
  };

  const std::string& id() const;          // Canonical: [STORE/]D/G.
  const std::string& short_name() const;  // The shortest unambiguous name in its catalog.
  const std::string& version() const;
  ModelState state() const;
  const std::vector<Problem>& problems() const;
  const std::vector<ModelFile>& files() const;      // In order of name.
  const std::vector<SideFile>& side_files() const;  // In order of name.
  uint64_t size_bytes() const;                      // Of all tensors' data.
  uint64_t num_parameters() const;
  const std::vector<DtypeUsage>& dtypes() const;  // In the order of Dtype; only those that occur.

  size_t num_tensors() const;
  Tensor tensor(size_t index) const;  // In byte-wise order of names.
  // Tensor indices sorted so that numbers count as numbers ("layers.2" before "layers.10"); made at
  // first use.
  absl::Span<const uint32_t> natural_order() const;
  // By file, then by offset.
  absl::Span<const uint32_t> file_order() const;

  // TENSOR_NOT_FOUND names the closest names, or the kept tensor where `name` stands only as an
  // alias in
  // `__metadata__`; SHARD_MISSING or FILE_INVALID where the index places the tensor in a file that
  // is not served.
  absl::StatusOr<size_t> Find(absl::string_view name) const;

  // The file's mapping, opened at first use and kept as long as somebody holds it or the catalog
  // does. FILE_CHANGED when the file is no longer the one whose header was parsed; FILE_INVALID,
  // SHARD_MISSING as Find.
  absl::StatusOr<std::shared_ptr<const MappedFile>> Map(size_t file) const;

  // A model's own file or side file by its name in the listing, opened for reading its original
  // bytes. FILE_NOT_FOUND names the closest ones.
  absl::StatusOr<std::shared_ptr<const MappedFile>> MapFile(absl::string_view name) const;
};

}  // namespace tensord
