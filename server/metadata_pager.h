// Fills one page of a model's files and their metadata entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "server/catalog_view.h"
#include "server/page_budget.h"
#include "src/model.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Which metadata a request asks for, and how much of each value.
struct MetadataFilter {
  absl::flat_hash_set<absl::string_view> keys;  // Empty: all. Views of the request.
  uint64_t value_offset = 0;
  size_t max_value_bytes = 0;
};

// Whether a character of valid `text` begins `offset` bytes in; its end and all that lies behind
// count as such.
bool IsBoundary(absl::string_view text, uint64_t offset);

// Not thread-safe; lives for one call.
class MetadataPager {
 public:
  // The next thing to list: side file, file, entry of the file.
  struct Position {
    size_t side_file = 0;
    size_t file = 0;
    size_t entry = 0;
  };

  // All are borrowed. `budget` has counted what stands in `response` already.
  MetadataPager(const CatalogView& view, const Model& model, const MetadataFilter& filter,
                PageBudget& budget, v1::GetMetadataResponse& response)
      : view_(view), model_(model), filter_(filter), budget_(budget), response_(response) {}

  // Adds what fits from `position` on, at least one thing; returns where the next page begins,
  // nullopt at the end.
  std::optional<Position> Fill(Position position);

 private:
  bool AddSideFile(const SideFile& side_file);
  // Lists `file` from `entry` on; returns the entry that did not fit any more.
  std::optional<size_t> AddFile(const ModelFile& file, size_t entry);
  // The first entry from `entry` on that is asked for; the number of entries if there is none.
  size_t NextEntry(const SafetensorsHeader& header, size_t entry) const;
  bool IsWanted(const SafetensorsHeader::MetadataEntry& entry) const;
  v1::MetadataEntry Cut(const SafetensorsHeader::MetadataEntry& entry) const;

  const CatalogView& view_;
  const Model& model_;
  const MetadataFilter& filter_;
  PageBudget& budget_;
  v1::GetMetadataResponse& response_;
};

}  // namespace tensord
