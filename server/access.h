// Who calls, and what they may read.
#pragma once

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/access_rules.h"
#include "server/model_rights.h"
#include "src/mutex.h"

namespace tensord {

// A caller whose credentials were found good.
struct Caller {
  std::shared_ptr<const ModelRights> models;
  // For logs: as AccessRules::Grant names it, what the client's certificate says where there are no
  // rules, or "". Not escaped.
  std::string identity;
};

// The rules of the moment. Thread-safe.
class Access {
 public:
  // Without rules whoever is connected may read everything: then addresses, socket modes and
  // certificates decide who that is.
  Access() = default;
  explicit Access(std::shared_ptr<const AccessRules> rules) : rules_(std::move(rules)) {}

  // For calls from now on.
  void Replace(std::shared_ptr<const AccessRules> rules);

  // What every handler calls first. A token that comes with the call decides, whatever certificate
  // the client has. UNAUTHENTICATED when there is no good credential, without a word on models.
  absl::StatusOr<Caller> Authorize(const grpc::ServerContextBase& context) const;

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const AccessRules> rules_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
