// The command line of tensord.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/readiness.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "src/catalog.h"

namespace tensord {

enum class LogFormat { kText, kJson };

// Which calls get a line: all, those that fail or take long, none.
enum class AccessLogMode { kOn, kSlow, kOff };

// What command line, environment and configuration file ask for. Every value is in its range.
struct Flags {
  std::vector<StoreOptions> stores;
  CatalogOptions catalog;
  // Absent: as RescanIntervalOf has it.
  std::optional<std::chrono::milliseconds> rescan_interval;
  ReadinessOptions readiness;
  ServerOptions server;
  SandboxMode sandbox = SandboxMode::kAuto;
  std::string http_listen;       // Empty: no HTTP.
  bool is_http_default = false;  // Nobody asked for that address.
  std::chrono::milliseconds drain_delay{0};
  std::chrono::milliseconds shutdown_grace{0};
  LogFormat log_format = LogFormat::kText;
  std::string log_level;  // As spdlog names them.
  AccessLogMode access_log = AccessLogMode::kSlow;
  bool check_config = false;
};

// How often to scan though nothing is heard. Looks at the stores where nobody has said.
std::chrono::milliseconds RescanIntervalOf(const Flags& flags);

// The program is to end now with this exit code; help, version, configuration or error have been
// printed.
struct ExitNow {
  int code = 0;
};

// Reads flags from the sources that GatherFlags names. Exit codes: 0 and kExitUsage. `is_terminal`:
// whether stderr is one.
std::variant<Flags, ExitNow> ParseFlags(int argc, const char* const* argv, bool is_terminal);

}  // namespace tensord
