#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "client/batch_calls.h"
#include "client/batch_reader.h"
#include "client/read_pieces.h"
#include "src/mutex.h"
#include "src/parallel_for.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// The first error of several readers, which the others are cancelled for.
class FirstError {
 public:
  explicit FirstError(Cancellation others) : others_(std::move(others)) {}

  void Set(const absl::Status& status) {
    if (status.ok()) return;
    {
      MutexLock lock(mutex_);
      if (first_.ok()) first_ = status;
    }
    others_.Cancel();
  }

  absl::Status Get() const {
    MutexLock lock(mutex_);
    return first_;
  }

 private:
  const Cancellation others_;
  mutable Mutex mutex_;
  absl::Status first_ ABSL_GUARDED_BY(mutex_);
};

ReadReport Finished(const BatchState& state, const std::string& model, const std::string& version) {
  ReadReport report = state.Report();
  report.model = model;
  report.version = version;
  return report;
}

// Each list over a connection of its own, all of the version that one call asks for before.
absl::StatusOr<ReadReport> ReadLists(const Connections& connections, Call call,
                                     const std::string& model,
                                     std::vector<std::vector<ReadPiece>> lists, BatchState& state) {
  const ReadRequest& first = state.request(0);
  TENSORD_ASSIGN_OR_RETURN(const PinnedPlan plan,
                           PlanPinned(connections.Next(), call, model, {{first.tensor, "", {}}}));
  const Cancellation others;
  call.cancellations.push_back(others);
  FirstError error(others);
  ParallelFor(lists.size(), lists.size(), [&](size_t i) {
    BatchReader reader(connections.at(i % connections.size()), call, model, plan.version, state,
                       std::move(lists[i]));
    error.Set(reader.Read());
  });
  TENSORD_RETURN_IF_ERROR(error.Get());
  return Finished(state, plan.model, plan.version);
}

absl::StatusOr<ReadReport> ReadAll(const Connections& connections, const Call& call,
                                   const std::string& model, absl::Span<const ReadRequest> requests,
                                   const ProgressCallback& progress) {
  BatchState state(requests, progress);
  auto lists = CutIntoPieces(requests, connections.size());
  if (lists.size() > 1) return ReadLists(connections, call, model, std::move(lists), state);
  BatchReader reader(connections.Next(), call, model, call.version, state, std::move(lists[0]));
  TENSORD_RETURN_IF_ERROR(reader.Read());
  return Finished(state, reader.model_id(), reader.version());
}

}  // namespace

absl::StatusOr<ReadReport> ReadMany(const Connections& connections, const Call& call,
                                    const std::string& model,
                                    absl::Span<const ReadRequest> requests,
                                    const ProgressCallback& progress) {
  const uint64_t bytes_before = call.counters->bytes_received;
  const uint64_t retries_before = call.counters->num_retries;
  TENSORD_ASSIGN_OR_RETURN(ReadReport report,
                           ReadAll(connections, call, model, requests, progress));
  report.bytes_received = call.counters->bytes_received - bytes_before;
  report.num_retries = call.counters->num_retries - retries_before;
  return report;
}

}  // namespace tensord
