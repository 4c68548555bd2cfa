// Makes a Model of the files that were read: its view, totals, state and version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "src/model.h"
#include "src/model_parts.h"

namespace tensord {

// A tensor's name longer than this, or a rank above, is legal in a file and not served: a page of a
// listing must hold a tensor's info.
inline constexpr size_t kMaxServedNameBytes = 4096;
inline constexpr size_t kMaxServedRank = 64;

// Builds one model; for one use.
class ModelBuilder {
 public:
  explicit ModelBuilder(const ModelSource& source);

  // Reads with up to `num_threads` threads. Never fails: what cannot be served is a problem of the
  // model.
  std::shared_ptr<const Model> Build(size_t num_threads) &&;

 private:
  using TensorRef = Model::TensorRef;

  void AddFiles();
  bool HasRoomFor(const SafetensorsHeader& header) const;
  void ReportMissingShards();
  void ReportStrays();
  void BuildIndexedView(const ModelIndex& index);
  void BuildMergedView();
  void RefuseDuplicates(std::vector<TensorRef>& merged);
  void RefuseOversized();
  void AddTotals();
  void SetState();
  void SetVersion();
  void KeepMappings();
  absl::string_view NameOf(TensorRef ref) const;
  uint32_t AddProblem(absl::string_view file, ErrorReason reason, std::string message);
  void AddBadIndex();

  const ModelSource& source_;
  ModelParts parts_;
  uint64_t index_bytes_ = 0;  // Of the headers that are served.
  std::shared_ptr<Model> model_;
};

}  // namespace tensord
