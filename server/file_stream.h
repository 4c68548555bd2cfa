// The messages of ReadFile.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/chunk_options.h"
#include "server/chunk_producer.h"
#include "src/catalog.h"
#include "src/served_file.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Sends a range of a file from where it is mapped, or reads it.
class FileStream final : public ChunkProducer {
 public:
  // All checking of the call. Errors: MODEL_NOT_FOUND, AMBIGUOUS_MODEL, VERSION_CHANGED,
  // FILE_NOT_FOUND, RANGE_OUT_OF_BOUNDS; FILE_CHANGED and READ_ERROR when it cannot be opened.
  static absl::StatusOr<std::unique_ptr<FileStream>> Open(const Catalog& catalog,
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

  // Of the next message, if there is memory for it.
  uint64_t DataBytes() const;
  bool IsSentMapped(uint64_t size) const;
  // Writes the next message, of `size` bytes of data. Errors name the file.
  absl::StatusOr<grpc::ByteBuffer> Encode(uint64_t size, const std::shared_ptr<DrainGate>& gate,
                                          BufferBudget::Buffer buffer);
  // The message's fields up to its data.
  std::string Prefix(uint64_t size, uint32_t crc) const;
  absl::Status Failed(const absl::Status& status) const;

  const std::shared_ptr<const ServedFile> file_;
  const v1::FileStreamInfo info_;
  const ChunkOptions options_;
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
  bool info_sent_ = false;
};

}  // namespace tensord
