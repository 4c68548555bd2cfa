#include "server/flag_declarations.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "server/buffer_budget.h"
#include "server/flag_sources.h"
#include "server/listener.h"
#include "server/version.h"

namespace tensord {
namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kTiB = uint64_t{1} << 40;

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

CLI::Validator OctalMode() {
  const auto check = [](const std::string& text) {
    const bool ok = !text.empty() && text.size() <= 4 &&
                    text.find_first_not_of("01234567") == std::string::npos &&
                    std::strtoul(text.c_str(), nullptr, 8) <= 0777;
    return ok ? std::string() : "wanted an octal mode up to 0777, got " + text;
  };
  return CLI::Validator(check, "");
}

CLI::Validator Address() {
  const auto check = [](const std::string& text) {
    return std::string(Listener::CheckForm(text).message());
  };
  return CLI::Validator(check, "");
}

CLI::Validator AddressOrOff() {
  const auto check = [](const std::string& text) {
    return text == "off" ? std::string() : std::string(Listener::CheckForm(text).message());
  };
  return CLI::Validator(check, "");
}

// Declares flags of which each has a variable, and a default that --help and --print-config show.
class Declarer {
 public:
  explicit Declarer(CLI::App& app) : app_(app) {}

  template <typename T>
  CLI::Option* Add(absl::string_view name, T& target, absl::string_view unit,
                   const std::string& default_text, const std::string& help) {
    CLI::Option* const option = app_.add_option(absl::StrCat("--", name), target, help);
    Describe(*option, name, unit, default_text);
    return option;
  }
  CLI::Option* AddSize(absl::string_view name, uint64_t& target, const std::string& default_text,
                       const std::string& help) {
    return Add(name, target, "SIZE", default_text, help)
        ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  }
  template <typename T>
  CLI::Option* AddDuration(absl::string_view name, T& target, const std::string& default_text,
                           const std::string& help) {
    return Add(name, target, "DURATION", default_text, help)->transform(Duration());
  }
  CLI::Option* AddRepeated(absl::string_view name, std::vector<std::string>& target,
                           absl::string_view unit, const std::string& default_text,
                           const std::string& help) {
    return Add(name, target, unit, default_text, help)->allow_extra_args(false);
  }
  CLI::Option* AddChoice(absl::string_view name, std::string& target,
                         const std::vector<std::string>& choices, const std::string& default_text,
                         const std::string& help) {
    return Add(name, target, CLI::detail::join(choices, "|"), default_text, help)
        ->check(CLI::IsMember(choices));
  }
  CLI::Option* AddSwitch(absl::string_view name, bool& target, const std::string& help) {
    CLI::Option* const option = app_.add_flag(absl::StrCat("--", name), target, help);
    return option->envname(VariableOf(name))->default_str("false");
  }

 private:
  static void Describe(CLI::Option& option, absl::string_view name, absl::string_view unit,
                       const std::string& default_text) {
    const std::string shown = default_text.empty() ? "" : absl::StrCat(" [", default_text, "]");
    option.envname(VariableOf(name));
    option.option_text(absl::StrCat(unit, shown));
    option.default_str(default_text);
  }

  CLI::App& app_;
};

void DeclareStores(Declarer declare, RawFlags& raw) {
  declare.AddRepeated(
      "store", raw.stores, "DIR", "",
      "Directory with models. Repeatable as NAME=DIR: its models are then NAME/...");
  declare.AddDuration(
      "rescan-interval", raw.rescan_interval_ms, "",
      "Stores are scanned so often though no change is heard of; 0: never; default: "
      "10s, 60s on network file systems");
  declare
      .AddSize("index-memory", raw.index_memory_bytes, "64MiB",
               "Headers that are kept parsed; others are read when they are asked for")
      ->check(CLI::Range(uint64_t{1} << 20, kTiB));
  declare
      .Add("max-open-files", raw.max_open_files, "NUMBER", "",
           "Files that are kept open and mapped between requests; default: a quarter of the "
           "process's limit")
      ->check(CLI::Range(uint64_t{1}, uint64_t{kMaxOpenFiles}));
  declare.AddChoice("read-mode", raw.read_mode, {"auto", "mmap", "pread"}, "auto",
                    "How files are read; auto: pread on network and FUSE file systems, else mmap");
  declare.AddRepeated("preload", raw.preload, "MODEL", "",
                      "Ready only once this model is complete and parsed. Repeatable; default: "
                      "what fits into the budgets is parsed, and nothing is waited for");
  declare
      .Add("ready-min-models", raw.ready_min_models, "NUMBER", "0",
           "Ready only once the stores hold so many models")
      ->check(CLI::Range(uint64_t{0}, uint64_t{UINT32_MAX}));
}

void DeclareListening(Declarer declare, RawFlags& raw) {
  declare
      .AddRepeated("listen", raw.listen, "ADDRESS", kDefaultListen,
                   "HOST:PORT (port 0: any free one) or unix:/PATH. Repeatable")
      ->check(Address());
  declare.Add("unix-socket-mode", raw.mode, "MODE", "0660", "Mode of Unix sockets, octal")
      ->check(OctalMode());
  declare
      .Add("http-listen", raw.http_listen, "ADDRESS|off", kDefaultHttpListen,
           "For GET /livez /readyz /startupz /metrics. The default is given up, with a warning, "
           "where it is in use")
      ->check(AddressOrOff());
  declare.AddChoice("reflection", raw.reflection, {"on", "off", "auto"}, "auto",
                    "Server reflection for grpcurl; auto: unless an address is reachable from "
                    "other machines");
}

void DeclareSecurity(Declarer declare, RawFlags& raw) {
  declare
      .AddRepeated("unix-allow-uid", raw.allow_uids, "UID", "",
                   "User whose processes may connect to Unix sockets; default: whoever the mode "
                   "lets in. Repeatable")
      ->check(CLI::Range(uint64_t{0}, uint64_t{UINT32_MAX - 1}));
  declare.Add("tls-cert", raw.credentials.tls.certificate, "FILE", "",
              "Certificate chain, PEM: TCP connections are encrypted");
  declare.Add("tls-key", raw.credentials.tls.key, "FILE", "", "Its key, PEM");
  declare.Add("tls-client-ca", raw.credentials.tls.client_ca, "FILE", "",
              "Clients on TCP need a certificate signed by one of these");
  declare.Add("auth-token-file", raw.credentials.token_file, "FILE", "",
              "Calls need one of these bearer tokens. A line each: TOKEN [models=PATTERN]...");
  declare.AddSwitch("insecure-allow-remote", raw.insecure_allow_remote,
                    "Listen where other machines can connect, even without TLS or credentials");
}

void DeclareLimits(Declarer declare, RawFlags& raw) {
  declare
      .AddSize("chunk-bytes", raw.chunk_bytes, "1MiB",
               "Data in one message of a stream, 64KiB to 4032KiB, where a request does not say")
      ->check(CLI::Range(uint64_t{kMinChunkBytes}, uint64_t{kMaxChunkBytes}));
  declare.AddSize("max-request-size", raw.max_request_bytes, "4MiB", "Larger requests are refused")
      ->check(CLI::Range(kKiB, uint64_t{1} << 30));
  declare
      .AddSize("buffer-memory", raw.buffer_memory_bytes, "64MiB",
               "For messages that are put together of many pieces; as it fills, they get smaller")
      ->check(CLI::Range(uint64_t{BufferBudget::kMinLimitBytes}, kTiB));
  declare
      .Add("io-threads", raw.io_threads, "NUMBER", "",
           "Threads that wait for disks, half of them at most for one; default: twice as many as "
           "processors, 4 at least")
      ->check(CLI::Range(uint64_t{IoPool::kMinThreads}, uint64_t{1024}));
  declare
      .Add("max-streams", raw.max_streams, "NUMBER", "1024",
           "Streams at once; further ones are refused")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 20));
  declare
      .Add(
          "max-connections", raw.max_connections, "NUMBER", "256",
          "Connections at once; further ones are closed, as are those of one peer beyond a quarter "
          "of them, 64 at least")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 16));
  declare.AddDuration("stall-timeout", raw.stall_timeout_ms, "60s",
                      "A stream whose client takes nothing for so long is ended; 0: never");
  declare.AddDuration("max-connection-age", raw.max_connection_age_ms, "0",
                      "Clients are asked to connect anew after so long (running calls have 5 min "
                      "more), so that they find new replicas; 0: never");
}

void DeclareRunning(Declarer declare, RawFlags& raw) {
  declare.AddDuration("drain-delay", raw.drain_delay_ms, "0",
                      "After SIGTERM, how long new calls are still served while readiness says no: "
                      "3s behind a Service");
  declare.AddDuration("shutdown-grace", raw.shutdown_grace_ms, "25s",
                      "After that, how long running streams may take to end");
  declare.AddChoice("sandbox", raw.sandbox, {"auto", "require", "off"}, "auto",
                    "Confine the process to reading the stores (Landlock, seccomp); auto: as far "
                    "as the kernel can");
  declare.AddChoice("log-format", raw.log_format, {"text", "json"}, "",
                    "Default: text on a terminal, else json");
  declare.AddChoice("log-level", raw.log_level, {"debug", "info", "warn", "error"}, "info",
                    "Least severe lines that are logged");
  declare.AddChoice("access-log", raw.access_log, {"on", "slow", "off"}, "slow",
                    "A line per call: of every call, of those that fail or take 1 s and more, or "
                    "of none");
}

}  // namespace

void DeclareFlags(CLI::App& app, RawFlags& raw) {
  const Declarer declare(app);
  DeclareStores(declare, raw);
  DeclareListening(declare, raw);
  DeclareSecurity(declare, raw);
  DeclareLimits(declare, raw);
  DeclareRunning(declare, raw);
  // The value is read before all others, see GatherFlags.
  app.add_option("--config", raw.config,
                 "File with lines `flag = value`, without the dashes of the flag")
      ->envname(VariableOf("config"))
      ->option_text("FILE");
  Declarer(app).AddSwitch(
      "check-config", raw.check_config,
      "Check the flags, the addresses and files that they name and that the stores "
      "are readable directories, and exit");
  Declarer(app).AddSwitch("print-config", raw.print_config,
                          "Print what is in effect, in the form that --config reads, and exit");
  app.set_version_flag("--version", std::string("tensord ") + kVersion);
}

}  // namespace tensord
