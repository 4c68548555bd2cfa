#include "server/chunk_stream.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"

namespace tensord {
namespace {

absl::Status Cancelled() { return absl::CancelledError("the call was cancelled"); }

}  // namespace

ChunkStream::ChunkStream(std::shared_ptr<CallContext> call,
                         absl::StatusOr<std::unique_ptr<ChunkProducer>> producer,
                         ActiveStreams::Token token, const Workers& workers)
    : token_(std::move(token)),
      call_(std::move(call)),
      gate_(std::make_shared<DrainGate>(workers.queue)),
      turns_(workers.turns),
      io_(workers.io) {
  if (producer.ok()) {
    producer_ = *std::move(producer);
    WriteNext();
  } else {
    End(producer.status());
  }
}

void ChunkStream::OnWriteDone(bool ok) {
  token_.Proceeded();
  chunk_.message.Clear();
  if (!ok) return End(Cancelled());
  if (chunk_.is_last) return FinishWhenDrained();
  WriteNext();
}

void ChunkStream::OnCancel() {
  // With a write outstanding OnWriteDone follows and ends the stream; only a stream that waits for
  // its memory to leave, for its turn or for a file, would wait on.
  cancelled_ = true;
  if (gate_->Cancel() || turns_->Withdraw(token_.peer(), this) || io_->Withdraw(this)) {
    End(Cancelled());
  }
}

void ChunkStream::WriteNext() {
  if (call_->grpc()->IsCancelled()) return End(Cancelled());
  const ChunkProducer::Needs needs = producer_->Plan();
  if (needs.fetches) {
    return WaitFor(needs.place, [this] {
      producer_->Fetch();
      WriteNext();
    });
  }
  if (needs.reads) {
    IoPool& io = *io_;  // The stream may be gone when the pool has taken its work.
    WaitFor(needs.place, [this, needs] { ReadNext(needs); });
    return FetchAhead(io, needs);
  }
  FetchAhead(*io_, needs);
  if (!needs.is_heavy) return Produce(TurnQueue::Turn());
  turns_->Enter(WorkOf(needs, [this](TurnQueue::Turn turn) { Produce(std::move(turn)); }));
}

void ChunkStream::WaitFor(const FilePlace& place, std::function<void()> work) {
  const bool waits =
      io_->Post({.place = place, .owner = this, .cancelled = &cancelled_, .run = std::move(work)});
  if (!waits) End(Cancelled());
}

void ChunkStream::FetchAhead(IoPool& io, const ChunkProducer::Needs& needs) {
  if (needs.ahead_file == nullptr || needs.ahead.size_bytes == 0) return;
  io.Post({.place = PlaceOf(needs.ahead_file->identity()),
           .run = [file = needs.ahead_file, range = needs.ahead] {
             file->Fetch(range.offset_bytes, range.size_bytes);
           }});
}

void ChunkStream::ReadNext(const ChunkProducer::Needs& needs) {
  std::optional<BufferBudget::Buffer> buffer = turns_->TryTake(WorkOf(needs, nullptr));
  if (buffer) return Produce(TurnQueue::Turn(*std::move(buffer)));
  // The turn is for gRPC's threads; only its memory is needed, and waited for.
  const auto run = [this, place = needs.place](TurnQueue::Turn turn) {
    const auto kept = std::make_shared<TurnQueue::Turn>(std::move(turn));
    kept->End();
    WaitFor(place, [this, kept] { Produce(std::move(*kept)); });
  };
  turns_->Enter(WorkOf(needs, run));
}

TurnQueue::Work ChunkStream::WorkOf(const ChunkProducer::Needs& needs,
                                    std::function<void(TurnQueue::Turn)> run) const {
  return {.stream = this,
          .peer = token_.peer(),
          .wanted_bytes = needs.wanted_bytes,
          .least_bytes = needs.least_bytes,
          .may_wait = has_written_,
          .cancelled = &cancelled_,
          .run = std::move(run)};
}

void ChunkStream::Produce(TurnQueue::Turn turn) {
  if (!turn.buffer.ok()) return End(turn.buffer.status());
  if (cancelled_) return End(Cancelled());
  absl::StatusOr<ChunkProducer::Chunk> chunk = producer_->Next(gate_, *std::move(turn.buffer));
  turn.End();
  if (!chunk.ok()) return End(chunk.status());
  if (chunk->is_void) return WriteNext();
  chunk_ = *std::move(chunk);
  has_written_ = true;
  TellSent();
  if (!chunk_.is_last || gate_->used()) {
    token_.WaitsForClient();
    return StartWrite(&chunk_.message);
  }
  // All data are copies that have been checked, so the status can travel with the last message.
  const absl::Status status = producer_->Finish();
  AddTrailers();
  token_.Finishes();
  StartWriteAndFinish(&chunk_.message, grpc::WriteOptions(), call_->End(status));
}

void ChunkStream::TellSent() { call_->Sent(producer_->sent_bytes() - call_->record().sent_bytes); }

void ChunkStream::FinishWhenDrained() {
  token_.WaitsForClient();
  if (!gate_->WhenDrained([this] { FinishChecked(); })) End(Cancelled());
}

void ChunkStream::FinishChecked() {
  const std::optional<FilePlace> place = producer_->FinishWaitsFor();
  if (!place) return End(producer_->Finish());
  WaitFor(*place, [this] { End(producer_->Finish()); });
}

void ChunkStream::End(const absl::Status& status) {
  AddTrailers();
  if (const auto delay = RetryDelay(status)) {
    // What clients of gRPC's own retries understand, where others read RetryInfo.
    call_->grpc()->AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(delay->count()));
  }
  token_.Finishes();
  Finish(call_->End(status));
}

void ChunkStream::AddTrailers() {
  if (producer_ == nullptr) return;
  grpc::CallbackServerContext* const context = call_->grpc();
  context->AddTrailingMetadata("tensord-bytes-read", absl::StrCat(producer_->read_bytes()));
  context->AddTrailingMetadata("tensord-bytes-sent", absl::StrCat(producer_->sent_bytes()));
}

}  // namespace tensord
