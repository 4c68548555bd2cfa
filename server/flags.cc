#include "server/flags.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "server/buffer_budget.h"
#include "server/chunk_options.h"
#include "server/version.h"

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
    "Every flag but --version and --help can be given as an environment variable: TENSORD_STORE\n"
    "for --store, TENSORD_CHUNK_BYTES for --chunk-bytes; repeated flags as one variable with\n"
    "commas. A flag beats its variable. Sizes take units: 512KiB, 1MiB; durations: 60s, 500ms.\n"
    "\n"
    "On stderr a line `listening address=ADDRESS` for each address says that calls are answered.\n"
    "SIGTERM and SIGINT end running streams within 25 s; a second signal ends at once.\n"
    "SIGHUP scans the stores now; otherwise changes are seen by themselves.\n"
    "\n"
    "Exit codes: 0 clean; 1 failure while running; 2 wrong flags; 3 an address is in use;\n"
    "4 a store cannot be read; 5 the kernel lacks the sandbox that is required.";

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
    if (++names[store.name] > 1) {
      return store.name.empty() ? "--store: several stores need names: --store NAME=DIR"
                                : "--store: two stores are called " + store.name;
    }
  }
  return "";
}

constexpr char kDefaultAddress[] = "127.0.0.1:50051";

// The values of a repeatable flag: as given, else from `variable`. Not CLI11's own way, because
// that would split at commas on the command line too.
std::vector<std::string> Repeated(std::vector<std::string> given, const char* variable) {
  const char* const value = std::getenv(variable);
  if (!given.empty() || value == nullptr) return given;
  return absl::StrSplit(value, ',', absl::SkipEmpty());
}

// What CLI11 fills in, as it stands on the command line.
struct Raw {
  std::vector<std::string> stores;
  std::vector<std::string> listen;
  std::string mode = "0660";
  std::vector<std::string> allow_uids;
  bool insecure_allow_remote = false;
  CredentialOptions credentials;
  uint64_t chunk_bytes = kDefaultChunkBytes;
  uint64_t max_request_bytes = 4 << 20;
  uint64_t buffer_memory_bytes = 64 << 20;
  uint64_t max_streams = 1024;
  uint64_t stall_timeout_ms = 60'000;
  std::optional<uint64_t> rescan_interval_ms;
  uint64_t index_memory_bytes = kDefaultIndexMemoryBytes;
  uint64_t max_open_files = 0;
  std::string reflection = "auto";
  uint64_t max_connections = 256;
  std::string sandbox = "auto";
  std::string log_format;
  std::string log_level = "info";
  bool check_config = false;
};

// Turns `60s`, `500ms`, `2m`, `1h` and a bare 0 into milliseconds.
CLI::Validator Duration() {
  const auto transform = [](std::string& text) -> std::string {
    constexpr char kWanted[] = "wanted a duration such as 60s or 500ms, up to a day, got ";
    absl::Duration duration;
    if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration() ||
        duration > absl::Hours(24)) {
      return kWanted + text;
    }
    text = absl::StrCat(absl::ToInt64Milliseconds(duration));
    return "";
  };
  return CLI::Validator(transform, "");
}

void AddStores(CLI::App& app, Raw& raw) {
  app.add_option(
         "--rescan-interval", raw.rescan_interval_ms,
         "Stores are scanned so often though no change is heard of; 0: never; default: 10s, "
         "60s on network file systems")
      ->envname("TENSORD_RESCAN_INTERVAL")
      ->option_text("DURATION")
      ->transform(Duration());
  app.add_option("--index-memory", raw.index_memory_bytes,
                 "Headers that are kept parsed; others are read when they are asked for")
      ->envname("TENSORD_INDEX_MEMORY")
      ->option_text("SIZE [64MiB]")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(CLI::Range(uint64_t{1} << 20, uint64_t{1} << 40));
  app.add_option("--max-open-files", raw.max_open_files,
                 "Files that are kept open and mapped between requests; default: a quarter of the "
                 "process's limit")
      ->envname("TENSORD_MAX_OPEN_FILES")
      ->option_text("NUMBER")
      ->check(CLI::Range(uint64_t{1}, uint64_t{kMaxOpenFiles}));
}

void AddServing(CLI::App& app, Raw& raw) {
  const CLI::AsSizeValue size(/*kb_is_1000=*/false);
  app.add_option("--store", raw.stores,
                 "Directory with models. Repeatable as NAME=DIR: its models are then NAME/...")
      ->option_text("DIR")
      ->allow_extra_args(false);
  app.add_option("--listen", raw.listen,
                 "HOST:PORT (port 0: any free one) or unix:/PATH. Repeatable")
      ->option_text(absl::StrCat("ADDRESS [", kDefaultAddress, "]"))
      ->allow_extra_args(false);
  app.add_option("--unix-socket-mode", raw.mode, "Mode of Unix sockets, octal")
      ->envname("TENSORD_UNIX_SOCKET_MODE")
      ->option_text("MODE [0660]")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool ok = !text.empty() && text.size() <= 4 &&
                            text.find_first_not_of("01234567") == std::string::npos &&
                            std::strtoul(text.c_str(), nullptr, 8) <= 0777;
            return ok ? std::string() : "wanted an octal mode up to 0777, got " + text;
          },
          ""));
  app.add_option("--chunk-bytes", raw.chunk_bytes,
                 "Data in one message of a stream, 64KiB to 4032KiB, where a request does not say")
      ->envname("TENSORD_CHUNK_BYTES")
      ->option_text("SIZE [1MiB]")
      ->transform(size)
      ->check(CLI::Range(uint64_t{kMinChunkBytes}, uint64_t{kMaxChunkBytes}));
  app.add_option("--max-request-size", raw.max_request_bytes, "Larger requests are refused")
      ->envname("TENSORD_MAX_REQUEST_SIZE")
      ->option_text("SIZE [4MiB]")
      ->transform(size)
      ->check(CLI::Range(uint64_t{1} << 10, uint64_t{1} << 30));
  app.add_option("--buffer-memory", raw.buffer_memory_bytes,
                 "For messages that are put together of many pieces; as it fills, they get smaller")
      ->envname("TENSORD_BUFFER_MEMORY")
      ->option_text("SIZE [64MiB]")
      ->transform(size)
      ->check(CLI::Range(uint64_t{BufferBudget::kMinLimitBytes}, uint64_t{1} << 40));
  app.add_option("--max-streams", raw.max_streams, "Streams at once; further ones are refused")
      ->envname("TENSORD_MAX_STREAMS")
      ->option_text("NUMBER [1024]")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 20));
  app.add_option("--max-connections", raw.max_connections,
                 "Connections at once; further ones are closed, as are more than 64 of one peer")
      ->envname("TENSORD_MAX_CONNECTIONS")
      ->option_text("NUMBER [256]")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 16));
  app.add_option("--stall-timeout", raw.stall_timeout_ms,
                 "A stream whose client takes nothing for so long is ended; 0: never")
      ->envname("TENSORD_STALL_TIMEOUT")
      ->option_text("DURATION [60s]")
      ->transform(Duration());
  app.add_option("--reflection", raw.reflection,
                 "Server reflection for grpcurl; auto: unless an address is reachable from other "
                 "machines")
      ->envname("TENSORD_REFLECTION")
      ->check(CLI::IsMember({"on", "off", "auto"}))
      ->option_text("on|off|auto [auto]");
}

void AddSecurity(CLI::App& app, Raw& raw) {
  const auto add_file = [&app](const char* name, std::string& path, const char* about,
                               const char* variable) {
    app.add_option(name, path, about)->envname(variable)->option_text("FILE");
  };
  app.add_option("--unix-allow-uid", raw.allow_uids,
                 "User whose processes may connect to Unix sockets; default: whoever the mode lets "
                 "in. Repeatable")
      ->option_text("UID")
      ->check(CLI::Range(uint64_t{0}, uint64_t{UINT32_MAX - 1}))
      ->allow_extra_args(false);
  add_file("--tls-cert", raw.credentials.tls.certificate,
           "Certificate chain, PEM: TCP connections are encrypted", "TENSORD_TLS_CERT");
  add_file("--tls-key", raw.credentials.tls.key, "Its key, PEM", "TENSORD_TLS_KEY");
  add_file("--tls-client-ca", raw.credentials.tls.client_ca,
           "Clients on TCP need a certificate signed by one of these", "TENSORD_TLS_CLIENT_CA");
  add_file("--auth-token-file", raw.credentials.token_file,
           "Calls need one of these bearer tokens. A line each: TOKEN [models=PATTERN]...",
           "TENSORD_AUTH_TOKEN_FILE");
  app.add_flag("--insecure-allow-remote", raw.insecure_allow_remote,
               "Listen where other machines can connect, even without TLS or credentials")
      ->envname("TENSORD_INSECURE_ALLOW_REMOTE");
}

void AddRunning(CLI::App& app, Raw& raw) {
  app.add_option(
         "--sandbox", raw.sandbox,
         "Confine the process to reading the stores (Landlock, seccomp); auto: as far as the "
         "kernel can")
      ->envname("TENSORD_SANDBOX")
      ->check(CLI::IsMember({"auto", "require", "off"}))
      ->option_text("auto|require|off [auto]");
  app.add_option("--log-format", raw.log_format, "Default: text on a terminal, else json")
      ->envname("TENSORD_LOG_FORMAT")
      ->check(CLI::IsMember({"text", "json"}))
      ->option_text("text|json");
  app.add_option("--log-level", raw.log_level, "Least severe lines that are logged")
      ->envname("TENSORD_LOG_LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->option_text("debug|info|warn|error [info]");
  app.add_flag("--check-config", raw.check_config,
               "Check the flags and that the stores are readable directories, and exit")
      ->envname("TENSORD_CHECK_CONFIG");
  app.set_version_flag("--version", std::string("tensord ") + kVersion);
}

Flags Convert(const Raw& raw, bool is_terminal) {
  Flags flags;
  for (const std::string& store : Repeated(raw.stores, "TENSORD_STORE")) {
    flags.stores.push_back(ParseStore(store));
  }
  flags.catalog.index_memory_bytes = raw.index_memory_bytes;
  flags.catalog.max_open_files = raw.max_open_files;
  if (raw.rescan_interval_ms) {
    flags.rescan_interval = std::chrono::milliseconds(*raw.rescan_interval_ms);
  }
  flags.server.listen = Repeated(raw.listen, "TENSORD_LISTEN");
  if (flags.server.listen.empty()) flags.server.listen = {kDefaultAddress};
  flags.server.unix_socket_mode = static_cast<mode_t>(std::strtoul(raw.mode.c_str(), nullptr, 8));
  for (const std::string& uid : Repeated(raw.allow_uids, "TENSORD_UNIX_ALLOW_UID")) {
    flags.server.unix_allow_uids.push_back(
        static_cast<uid_t>(std::strtoul(uid.c_str(), nullptr, 10)));
  }
  flags.server.insecure_allow_remote = raw.insecure_allow_remote;
  flags.server.credentials = raw.credentials;
  flags.server.chunk_bytes = static_cast<uint32_t>(raw.chunk_bytes);
  flags.server.max_request_bytes = static_cast<int>(raw.max_request_bytes);
  flags.server.buffer_memory_bytes = raw.buffer_memory_bytes;
  flags.server.max_streams = raw.max_streams;
  flags.server.guard.max_connections = raw.max_connections;
  flags.sandbox = raw.sandbox == "off"       ? SandboxMode::kOff
                  : raw.sandbox == "require" ? SandboxMode::kRequire
                                             : SandboxMode::kAuto;
  flags.server.stall_timeout = std::chrono::milliseconds(raw.stall_timeout_ms);
  flags.server.reflection = raw.reflection == "on"    ? Reflection::kOn
                            : raw.reflection == "off" ? Reflection::kOff
                                                      : Reflection::kAuto;
  const bool is_json = raw.log_format.empty() ? !is_terminal : raw.log_format == "json";
  flags.log_format = is_json ? LogFormat::kJson : LogFormat::kText;
  flags.log_level = raw.log_level;
  flags.check_config = raw.check_config;
  return flags;
}

}  // namespace

std::variant<Flags, ExitNow> ParseFlags(int argc, const char* const* argv, bool is_terminal) {
  CLI::App app(kDescription, "tensord");
  app.footer(kFooter);
  Raw raw;
  AddServing(app, raw);
  AddStores(app, raw);
  AddSecurity(app, raw);
  AddRunning(app, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool is_error = error.get_exit_code() != 0;
    app.exit(error);
    return ExitNow{is_error ? kExitUsage : 0};
  }
  Flags flags = Convert(raw, is_terminal);
  const std::string problem = CheckStores(flags.stores);
  if (problem.empty()) return flags;
  app.exit(CLI::ValidationError(problem));
  return ExitNow{kExitUsage};
}

}  // namespace tensord
