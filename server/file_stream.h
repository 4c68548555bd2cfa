// The messages of ReadFile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/catalog_view.h"
#include "server/chunk_options.h"
#include "server/chunk_producer.h"
#include "server/read_ahead.h"
#include "src/served_file.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Sends a range of a file from where it is mapped, or reads it.
class FileStream final : public ChunkProducer {
 public:
  // Errors: MODEL_NOT_FOUND, AMBIGUOUS_MODEL, VERSION_CHANGED. All other checking is done by the
  // first Fetch: FILE_NOT_FOUND, RANGE_OUT_OF_BOUNDS; FILE_CHANGED and READ_ERROR when the file
  // cannot be opened.
  static absl::StatusOr<std::unique_ptr<FileStream>> Create(const CatalogView& catalog,
                                                            v1::ReadFileRequest request,
                                                            const ChunkOptions& options);

  const Model& model() const { return *model_; }

  Needs Plan() override;
  void Fetch() override;
  absl::StatusOr<Chunk> Next(const std::shared_ptr<DrainGate>& gate,
                             BufferBudget::Buffer buffer) override;
  absl::Status Finish() override;
  std::optional<FilePlace> FinishWaitsFor() const override;

 private:
  FileStream(const CatalogView& catalog, std::shared_ptr<const Model> model,
             v1::ReadFileRequest request, const ChunkOptions& options)
      : catalog_(catalog),
        model_(std::move(model)),
        request_(std::move(request)),
        options_(options),
        place_(model_->PlaceOf(request_.file())) {}

  absl::Status Open();
  absl::StatusOr<std::shared_ptr<const ServedFile>> OpenFile();

  // Of the next message, if there is memory for it.
  uint64_t DataBytes() const;
  bool IsSentMapped(uint64_t size) const;
  // Writes the next message, of `size` bytes of data. Errors name the file.
  absl::StatusOr<grpc::ByteBuffer> Encode(uint64_t size, const std::shared_ptr<DrainGate>& gate,
                                          BufferBudget::Buffer buffer);
  // The message's fields up to its data.
  std::string Prefix(uint64_t size, uint32_t crc) const;
  absl::Status Failed(const absl::Status& status) const;

  std::optional<CatalogView> catalog_;  // Until the file is open.
  const std::shared_ptr<const Model> model_;
  const v1::ReadFileRequest request_;
  const ChunkOptions options_;
  const FilePlace place_;
  // Of the first Fetch.
  absl::Status opened_;
  std::shared_ptr<const ServedFile> file_;
  v1::FileStreamInfo info_;
  ReadAhead read_ahead_;
  bool is_fetched_ = false;  // What the next message needs.
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
  bool info_sent_ = false;
};

}  // namespace tensord
