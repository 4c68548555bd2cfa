#include "server/late_producer.h"

#include <utility>

namespace tensord {

ChunkProducer::Needs LateProducer::Plan() {
  if (producer_ != nullptr) return producer_->Plan();
  Needs needs;
  needs.fetches = failure_.ok();
  needs.place = place_;
  return needs;
}

void LateProducer::Fetch() {
  if (producer_ != nullptr) return producer_->Fetch();
  absl::StatusOr<std::unique_ptr<ChunkProducer>> made = std::exchange(make_, nullptr)();
  if (made.ok()) {
    producer_ = *std::move(made);
  } else {
    failure_ = made.status();
  }
}

absl::StatusOr<ChunkProducer::Chunk> LateProducer::Next(const std::shared_ptr<DrainGate>& gate,
                                                        BufferBudget::Buffer buffer) {
  if (producer_ == nullptr) return failure_;
  absl::StatusOr<Chunk> chunk = producer_->Next(gate, std::move(buffer));
  read_bytes_ = producer_->read_bytes();
  sent_bytes_ = producer_->sent_bytes();
  return chunk;
}

}  // namespace tensord
