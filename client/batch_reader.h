// Reads pieces of a batch over one connection, whatever breaks on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/batch_request.h"
#include "client/chunk_assembler.h"
#include "client/chunk_size.h"
#include "client/connection.h"
#include "client/read_pieces.h"
#include "src/mutex.h"
#include "tensord/read_report.h"
#include "tensord/read_request.h"

namespace tensord {

// What all readers of a batch have in common. Thread-safe.
class BatchState {
 public:
  // `requests` and `progress` must outlive the state.
  BatchState(absl::Span<const ReadRequest> requests, const ProgressCallback& progress)
      : requests_(requests), progress_(progress), sizes_(requests.size()) {
    shown_.num_requests = requests.size();
  }

  const ReadRequest& request(size_t i) const { return requests_[i]; }
  size_t num_requests() const { return requests_.size(); }

  // How many bytes a request wants, known from its header on.
  void SetSize(size_t request, uint64_t size_bytes);
  uint64_t size(size_t request) const;

  void SetFailed(size_t request, const absl::Status& status);

  // Has the callback show that a reader has so much more than when it last said so.
  void Add(uint64_t bytes, size_t requests);

  // What counts when all readers are done.
  ReadReport Report() const;

 private:
  const absl::Span<const ReadRequest> requests_;
  const ProgressCallback& progress_;
  mutable Mutex mutex_;
  std::vector<uint64_t> sizes_ ABSL_GUARDED_BY(mutex_);
  std::map<size_t, absl::Status> failures_ ABSL_GUARDED_BY(mutex_);

  // The callback runs under its own lock, in order.
  Mutex progress_mutex_;
  ReadProgress shown_ ABSL_GUARDED_BY(progress_mutex_);
};

// Used by one thread. Pieces that a broken stream has completed count when a later stream, pinned
// to the same version, ends with OK; such a stream follows even where no byte is missing.
class BatchReader {
 public:
  // All but `pieces` must outlive the reader. An empty `version`: what the model has now.
  BatchReader(const Connection& connection, const Call& call, const std::string& model,
              std::string version, BatchState& state, std::vector<ReadPiece> pieces);

  // OK: every piece is complete, or its request marked as failed.
  absl::Status Read();

  // Of the model, once a stream has begun.
  const std::string& model_id() const { return model_id_; }
  const std::string& version() const { return version_; }

 private:
  // One stream of what is missing, as much as fits one message.
  AttemptEnd ReadOnce();
  absl::StatusOr<BatchRequest> NextRequest() const;
  absl::StatusOr<ResultPlace> Place(const ResultHeader& header);
  void FindHeads(size_t count);
  void ShowProgress(const ChunkAssembler& assembler);

  // Keeps what has come, drops what the server failed to read, and leaves the rest in missing_.
  void KeepParts(const ChunkAssembler& assembler, size_t count);

  std::string Name(size_t piece) const;

  const Connection& connection_;
  const Call& call_;
  const std::string& model_;
  BatchState& state_;
  std::vector<ReadPiece> missing_;  // In order, from next_ on.
  size_t next_ = 0;
  ChunkSize chunk_;
  std::string model_id_;
  std::string version_;
  uint64_t bytes_ = 0;  // Received by streams that have ended.

  // Of the stream in progress.
  std::vector<uint32_t> heads_;  // Results whose request goes on in another piece.
  uint64_t shown_bytes_ = 0;
  size_t shown_requests_ = 0;
};

}  // namespace tensord
