#include "server/check_config.h"

#include <dirent.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/credential_log.h"
#include "server/exit_codes.h"
#include "server/exposure.h"
#include "server/listener.h"
#include "server/log.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::Status CheckAddresses(const Flags& flags) {
  std::vector<std::string> addresses = flags.server.listen;
  if (!flags.http_listen.empty()) addresses.push_back(flags.http_listen);
  for (const std::string& address : addresses) {
    TENSORD_RETURN_IF_ERROR(Listener::Check(address));
  }
  return absl::OkStatus();
}

}  // namespace

int CheckConfig(const Flags& flags) {
  for (const StoreOptions& store : flags.stores) {
    DIR* const directory = opendir(store.path.c_str());
    if (directory == nullptr) {
      LogError("store cannot be read", {{"store", store.path}, {"error", std::strerror(errno)}});
      return kExitStoreUnreadable;
    }
    closedir(directory);
  }
  absl::Status status = CheckAddresses(flags);
  if (status.ok()) status = CheckExposure(flags.server);
  if (status.ok()) status = Credentials::Load(flags.server.credentials, LogCredentials).status();
  if (!status.ok()) {
    LogError("configuration is refused", {{"error", std::string(status.message())}});
    return kExitUsage;
  }
  LogInfo("configuration is good", {});
  return 0;
}

}  // namespace tensord
