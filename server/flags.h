// The command line of tensord.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/sandbox.h"
#include "server/server.h"
#include "src/catalog.h"

namespace tensord {

enum class LogFormat { kText, kJson };

// What the command line and the environment ask for. Every value is in its range.
struct Flags {
  std::vector<StoreOptions> stores;
  CatalogOptions catalog;
  // Absent: the default, which depends on the file systems that the stores lie on.
  std::optional<std::chrono::milliseconds> rescan_interval;
  ServerOptions server;
  SandboxMode sandbox = SandboxMode::kAuto;
  LogFormat log_format = LogFormat::kText;
  std::string log_level;  // As spdlog names them.
  bool check_config = false;
};

// The program is to end now with this exit code; help, version or error have been printed.
struct ExitNow {
  int code = 0;
};

// Reads flags, and for flags that are not given, their environment variables (TENSORD_STORE for
// --store, several values separated by commas). `is_terminal`: whether stderr is one.
std::variant<Flags, ExitNow> ParseFlags(int argc, const char* const* argv, bool is_terminal);

// 0: help or version was asked for; 2: a flag is wrong.
inline constexpr int kExitUsage = 2;

}  // namespace tensord
