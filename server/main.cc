// tensord: reads flags, scans the stores, serves until it is told to stop.
#include <fcntl.h>
#include <grpc/grpc.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/access_log.h"
#include "server/call_metrics.h"
#include "server/call_observers.h"
#include "server/check_config.h"
#include "server/credential_log.h"
#include "server/credential_metrics.h"
#include "server/exit_codes.h"
#include "server/fault_log.h"
#include "server/fault_metrics.h"
#include "server/flags.h"
#include "server/guard_log.h"
#include "server/guard_metrics.h"
#include "server/http_server.h"
#include "server/listener.h"
#include "server/log.h"
#include "server/readiness.h"
#include "server/reload_log.h"
#include "server/reload_signal.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "server/serving_state.h"
#include "server/status_pages.h"
#include "server/stop_signal.h"
#include "server/store_metrics.h"
#include "server/version.h"
#include "src/catalog.h"
#include "src/file_closer.h"
#include "src/live_catalog.h"
#include "src/openssl_exit.h"
#include "src/reloader.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Keeps glibc from returning message buffers to the system after each message, only to fault them
// in again: up to 1.9 times the speed.
void TuneMalloc() {
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // The most that glibc accepts.
}

// Of what keeps the server from listening.
int ExitCodeOf(const absl::Status& status) {
  if (absl::IsAlreadyExists(status)) return kExitAddressInUse;
  const bool is_configuration =
      absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
  return is_configuration ? kExitUsage : kExitFailure;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// Closed ones would be given to the next socket, and what is written to standard error would be
// sent to a client.
void OpenStandardDescriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // The lowest free number is given out first.
    if (fcntl(fd, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int same = open("/dev/null", O_RDWR);
  }
}

void LogStart(const Flags& flags) {
  const std::string stores =
      absl::StrJoin(flags.stores, ",", [](std::string* out, const StoreOptions& store) {
        absl::StrAppend(out, store.name, store.name.empty() ? "" : "=", store.path);
      });
  LogInfo("starting", {{"version", std::string(kVersion)},
                       {"store", stores},
                       {"listen", absl::StrJoin(flags.server.listen, ",")},
                       {"unix_socket_mode", absl::StrFormat("%#o", flags.server.unix_socket_mode)},
                       {"chunk_bytes", uint64_t{flags.server.chunk_bytes}},
                       {"max_request_size", static_cast<uint64_t>(flags.server.max_request_bytes)},
                       {"log_level", flags.log_level}});
}

// What ending takes beyond the grace, on a busy machine.
constexpr std::chrono::milliseconds kExitPatience(1000);

// Whoever gives gRPC up last waits for a poller of its, which may sleep for 10 s. Nothing that gRPC
// holds outlives the process. Makes threads.
void KeepGrpcAtExit() { grpc_init(); }

// Each file that is served takes a descriptor, and shells hand out few by default. Returns how many
// there may be now.
uint64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// With too few of them the server works, until many clients connect.
void WarnOfFewDescriptors(const Flags& flags, uint64_t num_descriptors) {
  constexpr uint64_t kPerConnection = 2;  // gRPC's and the guard's.
  constexpr uint64_t kOwn = 64;  // Standard streams, listeners, HTTP, watches: about 20 are in use.
  const uint64_t max_connections = flags.server.guard.max_connections;
  const uint64_t wanted = kPerConnection * max_connections + flags.catalog.max_open_files + kOwn;
  if (num_descriptors >= wanted) return;
  LogWarning(
      "few file descriptors for so many connections: raise ulimit -n",
      {{"limit", num_descriptors}, {"wanted", wanted}, {"max_connections", max_connections}});
}

// What must stay within reach once the process is confined.
LandlockRules ReachOf(const Flags& flags) {
  LandlockRules rules;
  for (const StoreOptions& store : flags.stores) {
    for (std::string& path : ReadableFor(store.path)) rules.readable.push_back(std::move(path));
  }
  // Files that are replaced are new ones in the same place: the place it is.
  const TlsFiles& tls = flags.server.credentials.tls;
  for (const std::string& path :
       {tls.certificate, tls.key, tls.client_ca, flags.server.credentials.token_file}) {
    if (path.empty()) continue;
    const size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    for (const std::string& each : {path, directory}) {
      for (std::string& found : ReadableFor(each)) rules.readable.push_back(std::move(found));
    }
  }
  std::vector<std::string> addresses = flags.server.listen;
  addresses.push_back(flags.http_listen);
  for (const std::string& address : addresses) {
    if (const auto home = Listener::UnixDirectory(address)) rules.socket_homes.push_back(*home);
  }
  return rules;
}

int NoSandbox(const absl::Status& status) {
  LogError("cannot confine the process", {{"error", Message(status)}});
  return absl::IsUnimplemented(status) ? kExitNoSandbox : kExitFailure;
}

void LogExposure(const ServerOptions& options, const Server& server) {
  const CredentialOptions& credentials = options.credentials;
  if (credentials.has_tls() && credentials.authenticates()) return;
  for (const std::string& address : server.remote_addresses()) {
    LogWarning("other machines can connect",
               {{"address", address},
                {"encrypted", std::string(credentials.has_tls() ? "yes" : "no")},
                {"authenticated", std::string(credentials.authenticates() ? "yes" : "no")}});
  }
}

// What lives from start to stop. Members end in reverse order: each uses those above it.
struct Daemon {
  explicit Daemon(const Flags& flags)
      : hides_models(flags.server.credentials.authenticates()),
        readiness(flags.readiness),
        call_metrics(!hides_models),
        access_log(flags.access_log) {}

  const bool hides_models;  // From whoever shows no credentials, as HTTP's visitors.

  const std::shared_ptr<FileCloser> closer = std::make_shared<FileCloser>();
  LiveCatalog catalog;
  Readiness readiness;
  CallMetrics call_metrics;
  AccessLog access_log;
  CallObservers observers{{&call_metrics, &access_log}};
  ReloadLog reload_log;
  GuardLog guard_log;
  FaultLog fault_log;
  std::unique_ptr<Server> server;
  ServingState state{[this](bool welcome) { server->SetServing(welcome); }};
  StatusPages pages{&state};
  std::unique_ptr<Reloader> reloader;
  std::unique_ptr<HttpServer> http;
};

// Addresses first: a second server on one of them ends before it has read a whole store.
absl::Status StartServer(const Flags& flags, Daemon& daemon) {
  ServerOptions options = flags.server;
  options.observer = &daemon.observers;
  options.closer = daemon.closer;
  options.guard_report = [&](CloseReason reason, const std::string& peer,
                             const std::string& error) {
    daemon.guard_log.Closed(reason, peer, error);
  };
  options.refusal_report = [&](AcceptResult result, const std::string& peer) {
    daemon.guard_log.Refused(result, peer);
  };
  options.on_credentials = LogCredentials;
  options.on_file_fault = [&](const FileFault& fault) { daemon.fault_log.Report(fault); };
  TENSORD_ASSIGN_OR_RETURN(daemon.server, Server::Start(options, &daemon.catalog));
  LogExposure(options, *daemon.server);
  return absl::OkStatus();
}

void AddMetrics(Daemon& daemon) {
  daemon.pages.AddMetrics([&](MetricText& text) { daemon.call_metrics.AppendTo(text); });
  daemon.pages.AddMetrics([](MetricText& text) {
    text.Counter("tensord_log_lines_lost_total", "Log lines that standard error did not take.",
                 static_cast<double>(NumLostLogLines()));
  });
  daemon.pages.AddMetrics([&](MetricText& text) { AppendCatalogMetrics(daemon.catalog, text); });
  daemon.pages.AddMetrics(
      [&](MetricText& text) { AppendGuardMetrics(daemon.server->guard(), text); });
  daemon.pages.AddMetrics(
      [&](MetricText& text) { AppendCredentialMetrics(daemon.server->credentials(), text); });
  daemon.pages.AddMetrics(
      [&](MetricText& text) { AppendFaultMetrics(daemon.server->file_faults(), text); });
}

absl::Status StartHttp(const Flags& flags, Daemon& daemon) {
  if (flags.http_listen.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<Listener>> listeners =
      Listener::Open(flags.http_listen, flags.server.unix_socket_mode);
  if (absl::IsAlreadyExists(listeners.status()) && flags.is_http_default) {
    LogWarning("no probes and metrics: their default address is in use",
               {{"http_address", flags.http_listen}});
    return absl::OkStatus();
  }
  TENSORD_RETURN_IF_ERROR(listeners.status());
  const std::string address = listeners->front().address();
  const bool is_remote = listeners->front().is_remote();
  AddMetrics(daemon);
  TENSORD_ASSIGN_OR_RETURN(daemon.http,
                           HttpServer::Start(*std::move(listeners), [&](absl::string_view path) {
                             return daemon.pages.Answer(path);
                           }));
  LogInfo("serving probes and metrics", {{"http_address", address}});
  if (is_remote) LogInfo("other machines can read probes and metrics", {{"http_address", address}});
  return absl::OkStatus();
}

void FollowCatalog(const ReloadReport& report, Daemon& daemon) {
  daemon.reload_log.Report(report);
  if (report.current == nullptr || daemon.state.is_started()) return;
  const std::string before = daemon.readiness.missing();
  if (daemon.readiness.Update(*report.current)) {
    daemon.state.SetReady();
    return LogInfo("ready", {{"models", uint64_t{report.current->num_models()}}});
  }
  const std::string& missing = daemon.readiness.missing();
  daemon.state.SetMissing(daemon.hides_models ? "models that are waited for are missing" : missing);
  if (missing != before) LogWarning("not ready yet", {{"missing", missing}});
}

absl::Status StartReloading(const Flags& flags, Daemon& daemon) {
  CatalogOptions catalog = flags.catalog;
  catalog.closer = daemon.closer;
  catalog.num_threads = std::max(1u, std::thread::hardware_concurrency());
  ReloaderOptions options;
  options.rescan_interval = RescanIntervalOf(flags);
  TENSORD_ASSIGN_OR_RETURN(
      daemon.reloader,
      Reloader::Start(flags.stores, catalog, options, &daemon.catalog,
                      [&](const ReloadReport& report) { FollowCatalog(report, daemon); }));
  daemon.pages.AddMetrics(
      [&](MetricText& text) { AppendScanMetrics(daemon.reloader->counters(), text); });
  return absl::OkStatus();
}

// As StartReloading; ends the process with 0 when it is told to stop before the first scan is done.
absl::Status StartReloadingUnlessStopped(const Flags& flags, Daemon& daemon, StopSignal& stop) {
  constexpr std::chrono::milliseconds kLook(20);
  std::future<absl::Status> scan =
      std::async(std::launch::async, [&] { return StartReloading(flags, daemon); });
  while (scan.wait_for(kLook) != std::future_status::ready) {
    if (!stop.HasCome()) continue;
    LogInfo("stopping", {{"signal", std::string(strsignal(stop.Wait()))}});
    daemon.state.SetDraining();
    daemon.server->Shutdown(std::chrono::milliseconds(0));
    daemon.http.reset();
    LogInfo("stopped before the first scan was done", {});
    // Nothing can interrupt a scan, and nothing was served that could be lost.
    _exit(0);
  }
  return scan.get();
}

// Serves on for a while, so that whoever balances load has heard that this server goes.
void Drain(const Flags& flags, Daemon& daemon) {
  daemon.state.SetDraining();
  if (flags.drain_delay.count() > 0) {
    LogInfo("draining", {{"streams", uint64_t{daemon.server->num_streams()}}});
    std::this_thread::sleep_for(flags.drain_delay);
  }
  daemon.server->Shutdown(flags.shutdown_grace);
}

int Serve(const Flags& flags, Sandbox& sandbox, StopSignal& stop, ReloadSignal& reload) {
  LogStart(flags);
  Daemon daemon(flags);
  absl::Status listening = StartServer(flags, daemon);
  if (listening.ok()) listening = StartHttp(flags, daemon);
  if (!listening.ok()) {
    LogError("cannot serve", {{"error", Message(listening)}});
    return ExitCodeOf(listening);
  }
  const absl::Status scanned = StartReloadingUnlessStopped(flags, daemon, stop);
  if (!scanned.ok()) {
    LogError("store cannot be read", {{"error", Message(scanned)}});
    return kExitStoreUnreadable;
  }
  if (const absl::Status confined = sandbox.ConfineCalls(); !confined.ok()) {
    return NoSandbox(confined);
  }
  LogInfo("confined", {{"by", sandbox.parts()}});
  reload.Handle([&] {
    daemon.reloader->ReloadNow();
    daemon.server->ReloadCredentials();
  });
  // Scripts wait for this line to learn the port, whatever the format, so the address is in it.
  for (const std::string& address : daemon.server->addresses()) LogListening(address);

  LogInfo("stopping", {{"signal", std::string(strsignal(stop.Wait()))}});
  const auto begin = std::chrono::steady_clock::now();
  reload.Handle(nullptr);
  Drain(flags, daemon);
  const auto took = std::chrono::steady_clock::now() - begin;
  LogInfo("stopped", {{"duration_ms", std::chrono::duration<double, std::milli>(took).count()}});
  return 0;
}

// gRPC's traces show the headers of calls, and tokens in them.
void ForbidTraces() {
  constexpr char kTrace[] = "GRPC_TRACE";
  if (getenv(kTrace) == nullptr) return;
  unsetenv(kTrace);
  LogWarning("GRPC_TRACE is ignored, because gRPC would log tokens", {});
}

int Main(int argc, const char* const* argv) {
  OpenStandardDescriptors();
  TuneMalloc();
  KeepOpenSslAtExit();
  // What log rotation and supervisors send to other daemons must not end this one.
  for (const int unused : {SIGPIPE, SIGUSR1, SIGUSR2}) signal(unused, SIG_IGN);
  std::variant<Flags, ExitNow> parsed = ParseFlags(argc, argv, isatty(STDERR_FILENO) != 0);
  if (const auto* exit_now = std::get_if<ExitNow>(&parsed)) return exit_now->code;
  const Flags& flags = std::get<Flags>(parsed);
  StartLog(flags.log_format, flags.log_level);
  ForbidTraces();  // Before gRPC starts.
  if (flags.check_config) return CheckConfig(flags);
  WarnOfFewDescriptors(flags, RaiseDescriptorLimit());
  Sandbox sandbox(flags.sandbox);
  if (const absl::Status confined = sandbox.ConfineFiles(ReachOf(flags)); !confined.ok()) {
    return NoSandbox(confined);
  }
  ReloadSignal reload;
  StopSignal stop(flags.drain_delay + flags.shutdown_grace + kExitPatience);
  KeepGrpcAtExit();
  return Serve(flags, sandbox, stop, reload);
}

}  // namespace
}  // namespace tensord

int main(int argc, char** argv) { return tensord::Main(argc, argv); }
