// The calls about many tensors at once. Contracts as in tensord/client.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/connections.h"
#include "tensord/read_report.h"
#include "tensord/read_request.h"

namespace tensord {

absl::StatusOr<std::vector<PlannedRead>> Plan(const Connection& connection, const Call& call,
                                              const std::string& model,
                                              absl::Span<const Selection> selections);

// The same with the version that it is of.
struct PinnedPlan {
  std::string model;  // Canonical id.
  std::string version;
  std::vector<PlannedRead> reads;
};
absl::StatusOr<PinnedPlan> PlanPinned(const Connection& connection, const Call& call,
                                      const std::string& model,
                                      absl::Span<const Selection> selections);

absl::StatusOr<ReadReport> ReadMany(const Connections& connections, const Call& call,
                                    const std::string& model,
                                    absl::Span<const ReadRequest> requests,
                                    const ProgressCallback& progress);

}  // namespace tensord
