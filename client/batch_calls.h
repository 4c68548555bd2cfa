// The calls about many tensors at once. Contracts as in tensord/client.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/connection.h"
#include "tensord/read_report.h"
#include "tensord/read_request.h"

namespace tensord {

absl::StatusOr<std::vector<PlannedRead>> Plan(const Connection& connection, const Call& call,
                                              const std::string& model,
                                              absl::Span<const Selection> selections);

absl::StatusOr<ReadReport> ReadMany(const Connection& connection, const Call& call,
                                    const std::string& model,
                                    absl::Span<const ReadRequest> requests,
                                    const ProgressCallback& progress);

}  // namespace tensord
