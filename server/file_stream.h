// The messages of ReadFile.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/catalog_view.h"
#include "server/chunk_options.h"
#include "server/chunk_producer.h"
#include "src/served_file.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Sends a range of a file from where it is mapped.
class FileStream final : public ChunkProducer {
 public:
  // All checking of the call. Errors: MODEL_NOT_FOUND, AMBIGUOUS_MODEL, VERSION_CHANGED,
  // FILE_NOT_FOUND, RANGE_OUT_OF_BOUNDS; FILE_CHANGED and READ_ERROR when it cannot be opened.
  static absl::StatusOr<std::unique_ptr<FileStream>> Open(const CatalogView& catalog,
                                                          const v1::ReadFileRequest& request,
                                                          const ChunkOptions& options);

  Needs Plan() override;
  absl::StatusOr<Chunk> Next(const std::shared_ptr<DrainGate>& gate,
                             BufferBudget::Buffer buffer) override;
  absl::Status Finish() override;

 private:
  FileStream(std::shared_ptr<const ServedFile> file, v1::FileStreamInfo info,
             const ChunkOptions& options)
      : file_(std::move(file)), info_(std::move(info)), options_(options) {}

  // The message's fields up to its data.
  std::string Prefix(absl::Span<const std::byte> data);
  absl::Status Annotated(const absl::Status& status) const;

  const std::shared_ptr<const ServedFile> file_;
  const v1::FileStreamInfo info_;
  const ChunkOptions options_;
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
  bool info_sent_ = false;
};

}  // namespace tensord
