// A producer that cannot be made without waiting for a file.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "server/chunk_producer.h"

namespace tensord {

// Makes another producer by its first Fetch, which may wait, and then is that one.
class LateProducer final : public ChunkProducer {
 public:
  // Called once; its error ends the stream.
  using Make = std::function<absl::StatusOr<std::unique_ptr<ChunkProducer>>()>;

  // `place`: where `make` waits.
  LateProducer(const FilePlace& place, Make make) : place_(place), make_(std::move(make)) {}

  Needs Plan() override;
  void Fetch() override;
  absl::StatusOr<Chunk> Next(const std::shared_ptr<DrainGate>& gate,
                             BufferBudget::Buffer buffer) override;
  absl::Status Finish() override { return producer_->Finish(); }
  std::optional<FilePlace> FinishWaitsFor() const override { return producer_->FinishWaitsFor(); }

 private:
  const FilePlace place_;
  Make make_;
  std::unique_ptr<ChunkProducer> producer_;  // Null until it is made,
  absl::Status failure_;                     // or for good.
};

}  // namespace tensord
