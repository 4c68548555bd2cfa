#include "client/metadata_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/answers.h"
#include "client/page_loop.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// What the server sends of one value at most.
constexpr uint64_t kMaxPieceBytes = 1 << 20;

// Adds a page's view of a file; one whose metadata spans pages is on each of them.
void AddFile(FileInfo file, std::vector<FileInfo>& files) {
  if (files.empty() || files.back().name != file.name) {
    files.push_back(std::move(file));
    return;
  }
  if (!file.metadata) return;
  auto& metadata = files.back().metadata;
  if (!metadata) metadata.emplace();
  std::move(file.metadata->begin(), file.metadata->end(), std::back_inserter(*metadata));
}

// The next piece of `key`'s value in `file`, from byte `offset` on.
absl::StatusOr<std::string> ReadPiece(const Connection& connection, const Call& call,
                                      v1::GetMetadataRequest request, const std::string& file,
                                      const std::string& key, uint64_t offset, uint64_t max_bytes) {
  request.clear_keys();
  request.add_keys(key);
  request.set_value_offset(offset);
  request.set_max_value_bytes(static_cast<uint32_t>(std::min(max_bytes, kMaxPieceBytes)));
  std::string piece;
  TENSORD_RETURN_IF_ERROR(ForEachPage(connection, &v1::TensorStore::Stub::GetMetadata, request,
                                      call, [&](const v1::GetMetadataResponse& page) {
                                        for (const auto& info : page.files()) {
                                          if (info.name() != file) continue;
                                          for (const auto& entry : info.metadata().entries()) {
                                            if (entry.key() == key) piece = entry.value();
                                          }
                                        }
                                        return absl::OkStatus();
                                      }));
  return piece;
}

// Reads on where the first answer cut `entry`, up to `max_bytes` of value.
absl::Status CompleteValue(const Connection& connection, const Call& call,
                           const v1::GetMetadataRequest& request, const std::string& file,
                           uint64_t max_bytes, MetadataEntry& entry) {
  const uint64_t wanted = std::min(max_bytes, entry.value_bytes);
  while (entry.value.size() < wanted) {
    TENSORD_ASSIGN_OR_RETURN(const std::string piece,
                             ReadPiece(connection, call, request, file, entry.key,
                                       entry.value.size(), wanted - entry.value.size()));
    if (piece.empty())
      break;  // The next character would pass the limit, or the key itself was cut.
    entry.value += piece;
  }
  const bool whole = entry.value.size() == entry.value_bytes;
  if (entry.value.size() > entry.value_bytes || (max_bytes >= entry.value_bytes && !whole)) {
    return absl::DataLossError(absl::StrCat("metadata ", Quote(entry.key), " of ", Quote(file),
                                            " ended after ", entry.value.size(), " of ",
                                            entry.value_bytes, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelInfo> GetMetadata(const Connection& connection, const Call& call,
                                      const std::string& model, const MetadataOptions& options) {
  v1::GetMetadataRequest request;
  request.set_model(model);
  request.set_version(call.version);
  for (const std::string& key : options.keys) request.add_keys(key);
  // 0 would mean the server's default; nobody is hurt by a byte.
  request.set_max_value_bytes(
      static_cast<uint32_t>(std::clamp<uint64_t>(options.max_value_bytes, 1, kMaxPieceBytes)));
  ModelInfo info;
  std::vector<FileInfo> files;
  std::vector<SideFile> side_files;
  TENSORD_RETURN_IF_ERROR(
      ForEachPage(connection, &v1::TensorStore::Stub::GetMetadata, request, call,
                  [&](const v1::GetMetadataResponse& page) -> absl::Status {
                    TENSORD_ASSIGN_OR_RETURN(info, ModelFromProto(page.model()));
                    request.set_version(info.version);
                    for (const auto& file : page.files()) AddFile(FileFromProto(file), files);
                    for (const auto& file : page.side_files()) {
                      side_files.push_back({file.name(), file.size_bytes(), file.sha256()});
                    }
                    return absl::OkStatus();
                  }));
  for (FileInfo& file : files) {
    if (!file.metadata) continue;
    for (MetadataEntry& entry : *file.metadata) {
      TENSORD_RETURN_IF_ERROR(
          CompleteValue(connection, call, request, file.name, options.max_value_bytes, entry));
    }
  }
  info.files = std::move(files);
  info.side_files = std::move(side_files);
  return info;
}

}  // namespace tensord
