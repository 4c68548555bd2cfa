// The connections of a client to its server.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/connection.h"
#include "src/status_macros.h"

namespace tensord {

inline constexpr size_t kMaxConnections = 64;  // As many as a server takes of one peer.

// Reads below this size stay on one connection: above it the time that several save is worth the
// call that learns the version to pin them to.
inline constexpr uint64_t kMinStripedBytes = 64 << 20;

// At least one, all to the same address. Thread-safe.
class Connections {
 public:
  // Touches no network. INVALID_ARGUMENT as Client::Connect.
  static absl::StatusOr<std::unique_ptr<Connections>> Create(absl::string_view address,
                                                             const ClientOptions& options) {
    if (options.connections == 0 || options.connections > kMaxConnections) {
      return absl::InvalidArgumentError(absl::StrCat("connections is ", options.connections,
                                                     ", wanted are 1 to ", kMaxConnections));
    }
    std::vector<std::unique_ptr<Connection>> all(options.connections);
    for (auto& connection : all) {
      TENSORD_ASSIGN_OR_RETURN(connection, Connection::Create(address, options));
    }
    return std::unique_ptr<Connections>(new Connections(std::move(all)));
  }

  const ClientOptions& options() const { return all_.front()->options(); }
  size_t size() const { return all_.size(); }
  const Connection& at(size_t i) const { return *all_[i]; }

  // Each in turn, for calls that need but one.
  const Connection& Next() const { return *all_[next_++ % all_.size()]; }

 private:
  explicit Connections(std::vector<std::unique_ptr<Connection>> all) : all_(std::move(all)) {}

  const std::vector<std::unique_ptr<Connection>> all_;
  mutable std::atomic<size_t> next_ = 0;
};

}  // namespace tensord
