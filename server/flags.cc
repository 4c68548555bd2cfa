#include "server/flags.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/config_file.h"
#include "server/exit_codes.h"
#include "server/flag_declarations.h"
#include "server/flag_sources.h"
#include "src/escape.h"
#include "src/file_system.h"

namespace tensord {
namespace {

constexpr char kDescription[] =
    "tensord serves tensors out of safetensors files over gRPC.\n"
    "\n"
    "Every model below a store can be listed, described and read: a tensor, a numpy-style\n"
    "slice, or thousands of them in one stream.\n"
    "\n"
    "  tensord --store /models\n"
    "  tensord --store llm=/models/llm --store lora=/models/lora --listen unix:/run/tensord.sock\n"
    "  grpcurl -plaintext 127.0.0.1:50051 tensord.v1.TensorStore/ListModels";

constexpr char kFooter[] =
    "A flag beats its environment variable (TENSORD_CHUNK_BYTES for --chunk-bytes; commas between\n"
    "repeated values), which beats its line in the file behind --config (chunk-bytes = 512KiB).\n"
    "Sizes take units: 512KiB, 1MiB; durations: 60s, 500ms.\n"
    "\n"
    "On stderr a line `listening address=ADDRESS` for each address says that calls are answered.\n"
    "SIGTERM and SIGINT: not ready, --drain-delay, no new calls, --shutdown-grace, exit; a second\n"
    "one ends at once. SIGHUP scans the stores now; otherwise changes are seen by themselves.\n"
    "\n"
    "Exit codes: 0 clean; 1 failure while running, or a second signal; 2 wrong configuration;\n"
    "3 an address is in use; 4 a store cannot be read; 5 the kernel lacks the sandbox that is\n"
    "required.";

// `DIR` or `NAME=DIR`; what stands before `=` is a name only if it could be one.
StoreOptions ParseStore(const std::string& text) {
  constexpr char kNameCharacters[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  const size_t equals = text.find('=');
  const size_t name_end = text.find_first_not_of(kNameCharacters);
  if (equals == std::string::npos || equals == 0 || equals != name_end) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::string CheckStores(const std::vector<StoreOptions>& stores) {
  std::map<std::string, int> names;
  if (stores.empty()) return "--store is required: a directory with models";
  for (const StoreOptions& store : stores) {
    if (store.path.empty()) return "--store: the directory is empty";
    if (store.name.empty() && stores.size() > 1) {
      return absl::StrCat("--store: several stores need names: --store NAME=DIR, got ",
                          Quote(store.path));
    }
    if (++names[store.name] > 1) return "--store: two stores are called " + store.name;
  }
  return "";
}

uint64_t HardDescriptorLimit() {
  rlimit limit = {};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;  // main goes up to it.
}

LogFormat FormatOf(const RawFlags& raw, bool is_terminal) {
  const bool is_json = raw.log_format.empty() ? !is_terminal : raw.log_format == "json";
  return is_json ? LogFormat::kJson : LogFormat::kText;
}

ReadMode ParseReadMode(const std::string& text) {
  if (text == "mmap") return ReadMode::kMmap;
  return text == "pread" ? ReadMode::kPread : ReadMode::kAuto;
}

ServerOptions ServerOptionsOf(const RawFlags& raw) {
  ServerOptions server;
  server.listen = raw.listen;
  if (server.listen.empty()) server.listen = {kDefaultListen};
  server.unix_socket_mode = static_cast<mode_t>(std::strtoul(raw.mode.c_str(), nullptr, 8));
  for (const std::string& uid : raw.allow_uids) {
    server.unix_allow_uids.push_back(static_cast<uid_t>(std::strtoul(uid.c_str(), nullptr, 10)));
  }
  server.insecure_allow_remote = raw.insecure_allow_remote;
  server.credentials = raw.credentials;
  server.chunk_bytes = static_cast<uint32_t>(raw.chunk_bytes);
  server.max_request_bytes = static_cast<int>(raw.max_request_bytes);
  server.buffer_memory_bytes = raw.buffer_memory_bytes;
  server.io_threads = raw.io_threads;
  server.max_streams = raw.max_streams;
  server.guard.max_connections = raw.max_connections;
  server.guard.max_connections_per_peer =
      std::max<size_t>(server.guard.max_connections_per_peer, raw.max_connections / 4);
  server.stall_timeout = std::chrono::milliseconds(raw.stall_timeout_ms);
  server.max_connection_age = std::chrono::milliseconds(raw.max_connection_age_ms);
  server.reflection = raw.reflection == "on"    ? Reflection::kOn
                      : raw.reflection == "off" ? Reflection::kOff
                                                : Reflection::kAuto;
  return server;
}

Flags Convert(const RawFlags& raw, bool is_terminal) {
  Flags flags;
  for (const std::string& store : raw.stores) flags.stores.push_back(ParseStore(store));
  flags.catalog.index_memory_bytes = raw.index_memory_bytes;
  flags.catalog.max_open_files = raw.max_open_files;
  flags.catalog.read_mode = ParseReadMode(raw.read_mode);
  if (raw.rescan_interval_ms) {
    flags.rescan_interval = std::chrono::milliseconds(*raw.rescan_interval_ms);
  }
  flags.readiness = {raw.preload, raw.ready_min_models};
  flags.server = ServerOptionsOf(raw);
  flags.sandbox = raw.sandbox == "off"       ? SandboxMode::kOff
                  : raw.sandbox == "require" ? SandboxMode::kRequire
                                             : SandboxMode::kAuto;
  flags.is_http_default = raw.http_listen.empty();
  flags.http_listen = flags.is_http_default ? kDefaultHttpListen : raw.http_listen;
  if (flags.http_listen == "off") flags.http_listen = "";
  flags.drain_delay = std::chrono::milliseconds(raw.drain_delay_ms);
  flags.shutdown_grace = std::chrono::milliseconds(raw.shutdown_grace_ms);
  flags.log_format = FormatOf(raw, is_terminal);
  flags.log_level = raw.log_level;
  flags.access_log = raw.access_log == "on"    ? AccessLogMode::kOn
                     : raw.access_log == "off" ? AccessLogMode::kOff
                                               : AccessLogMode::kSlow;
  flags.check_config = raw.check_config;
  return flags;
}

// What is in force of a flag without a constant default that was not given; "" where that is
// nothing.
std::string ComputedDefault(absl::string_view flag, const Flags& flags) {
  if (flag == "io-threads") return absl::StrCat(flags.server.io_threads);
  if (flag == "max-open-files") return absl::StrCat(DefaultMaxOpenFiles(HardDescriptorLimit()));
  if (flag == "log-format") return flags.log_format == LogFormat::kJson ? "json" : "text";
  if (flag != "rescan-interval") return "";
  return absl::StrCat(RescanIntervalOf(flags) / std::chrono::seconds(1), "s");
}

// Where the flag that `message` is about came from, unless from the command line.
std::string OriginOf(absl::string_view message, const FlagSources& sources) {
  absl::ConsumePrefix(&message, "Could not convert: ");
  if (!absl::ConsumePrefix(&message, "--")) return "";
  const auto found = sources.origins.find(message.substr(0, message.find_first_of(":= ")));
  return found == sources.origins.end() ? "" : absl::StrCat(" (", found->second, ")");
}

ExitNow Refuse(absl::string_view message) {
  std::cerr << message << "\nRun with --help for more information.\n";
  return {kExitUsage};
}

// A flag that was not given; as a comment where its default depends on the machine.
void PrintDefault(const std::string& name, const std::string& constant, const Flags& flags) {
  const std::string value = constant.empty() ? ComputedDefault(name, flags) : constant;
  std::cout << (constant.empty() ? "# " : "") << name << " =" << (value.empty() ? "" : " ") << value
            << "\n";
}

// Every flag with its value, in the form that --config reads.
ExitNow PrintConfig(const CLI::App& app, const FlagSources& sources, const Flags& flags) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_lnames().empty() ? "" : option->get_lnames().front();
    if (!HasPlaceInFile(name)) continue;
    if (option->count() == 0) {
      PrintDefault(name, option->get_default_str(), flags);
      continue;
    }
    const auto origin = sources.origins.find(name);
    std::cout << "# from "
              << (origin == sources.origins.end() ? "the command line" : origin->second) << "\n";
    const bool is_switch = option->get_expected_max() == 0;
    for (const std::string& value : GivenValues(sources, name, is_switch)) {
      const std::optional<std::string> text = ConfigText(value);
      if (!text) {
        return Refuse(absl::StrCat("--", name, ": no file can hold the value ", Quote(value)));
      }
      std::cout << name << " = " << *text << "\n";
    }
  }
  return {0};
}

}  // namespace

std::chrono::milliseconds RescanIntervalOf(const Flags& flags) {
  constexpr std::chrono::seconds kLocal(10);
  constexpr std::chrono::seconds kNetwork(60);  // Each file is a question to another machine.
  if (flags.rescan_interval) return *flags.rescan_interval;
  const bool is_network =
      std::any_of(flags.stores.begin(), flags.stores.end(),
                  [](const StoreOptions& store) { return IsNetworkFileSystem(store.path); });
  return is_network ? kNetwork : kLocal;
}

std::variant<Flags, ExitNow> ParseFlags(int argc, const char* const* argv, bool is_terminal) {
  CLI::App app(kDescription, "tensord");
  app.footer(kFooter);
  RawFlags raw;
  DeclareFlags(app, raw);
  absl::StatusOr<FlagSources> sources = GatherFlags(app, {argv + 1, argv + argc});
  if (!sources.ok()) return Refuse(absl::StrCat("--config: ", sources.status().message()));
  // The parser takes the last argument first.
  std::vector<std::string> reversed(sources->arguments.rbegin(), sources->arguments.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return ExitNow{0};
    }
    return Refuse(absl::StrCat(error.what(), OriginOf(error.what(), *sources)));
  }
  Flags flags = Convert(raw, is_terminal);
  const std::string problem = CheckStores(flags.stores);
  if (!problem.empty()) return Refuse(problem);
  if (raw.print_config) return PrintConfig(app, *sources, flags);
  return flags;
}

}  // namespace tensord
