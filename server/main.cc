// tensord: reads flags, scans the stores, serves until it is told to stop.
#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/flags.h"
#include "server/log.h"
#include "server/server.h"
#include "server/stop_signal.h"
#include "server/version.h"
#include "src/catalog.h"
#include "src/live_catalog.h"
#include "tensord/error_reason.h"

namespace tensord {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitAddressInUse = 3;
constexpr int kExitStoreUnreadable = 4;

// Below the 30 s after which Kubernetes kills.
constexpr std::chrono::seconds kShutdownGrace(25);

// Problems that are logged one by one; a store with more has one cause for all of them.
constexpr size_t kMaxProblemLines = 1000;

// Keeps glibc from returning message buffers to the system after each message, only to fault them
// in again: up to 1.9 times the speed.
void TuneMalloc() {
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // The most that glibc accepts.
}

int ExitCodeOf(const absl::Status& status) {
  if (absl::IsAlreadyExists(status)) return kExitAddressInUse;
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailure;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

int CheckConfig(const Flags& flags) {
  for (const StoreOptions& store : flags.stores) {
    DIR* const directory = opendir(store.path.c_str());
    if (directory == nullptr) {
      LogError("store cannot be read", {{"store", store.path}, {"error", std::strerror(errno)}});
      return kExitStoreUnreadable;
    }
    closedir(directory);
  }
  LogInfo("configuration is good", {});
  return 0;
}

void LogStart(const Flags& flags) {
  const std::string stores =
      absl::StrJoin(flags.stores, ",", [](std::string* out, const StoreOptions& store) {
        absl::StrAppend(out, store.name, store.name.empty() ? "" : "=", store.path);
      });
  LogInfo("starting", {{"version", kVersion},
                       {"store", stores},
                       {"listen", absl::StrJoin(flags.server.listen, ",")},
                       {"unix_socket_mode", absl::StrFormat("%#o", flags.server.unix_socket_mode)},
                       {"chunk_bytes", uint64_t{flags.server.chunk_bytes}},
                       {"max_request_size", static_cast<uint64_t>(flags.server.max_request_bytes)},
                       {"log_level", flags.log_level}});
}

void LogProblem(const std::string& model, const Problem& problem) {
  LogWarning("cannot serve", {{"model", model},
                              {"file", problem.file},
                              {"reason", std::string(ErrorReasonName(problem.reason))},
                              {"variant", problem.variant},
                              {"error", problem.message}});
}

// One line for the whole, one for each problem.
void LogScan(const Catalog& catalog, std::chrono::steady_clock::duration took) {
  uint64_t num_tensors = 0;
  uint64_t size_bytes = 0;
  uint64_t num_problems = 0;
  const auto log = [&num_problems](const std::string& model, const Problem& problem) {
    if (num_problems++ < kMaxProblemLines) LogProblem(model, problem);
  };
  for (const Problem& problem : catalog.problems()) log("", problem);
  for (size_t i = 0; i < catalog.num_models(); ++i) {
    const std::shared_ptr<const Model> model = catalog.model(i);
    num_tensors += model->num_tensors();
    size_bytes += model->size_bytes();
    for (const Problem& problem : model->problems()) log(model->id(), problem);
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  LogInfo("scanned", {{"models", uint64_t{catalog.num_models()}},
                      {"tensors", num_tensors},
                      {"bytes", size_bytes},
                      {"problems", num_problems},
                      {"duration_ms", static_cast<uint64_t>(ms)}});
}

absl::Status Scan(const Flags& flags, LiveCatalog& live) {
  const auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<std::shared_ptr<const Catalog>> catalog =
      Catalog::Load(flags.stores, std::max(1u, std::thread::hardware_concurrency()));
  if (!catalog.ok()) return catalog.status();
  LogScan(**catalog, std::chrono::steady_clock::now() - begin);
  live.Swap(*std::move(catalog));
  return absl::OkStatus();
}

int Serve(Flags flags, StopSignal& stop) {
  LogStart(flags);
  LiveCatalog catalog;
  // Addresses first: a second server on one of them ends before it has read a whole store.
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(flags.server, &catalog);
  if (!server.ok()) {
    LogError("cannot listen", {{"error", Message(server.status())}});
    return ExitCodeOf(server.status());
  }
  for (const std::string& address : (*server)->remote_addresses()) {
    LogWarning("other machines can connect, without encryption or authentication",
               {{"address", address}});
  }
  const absl::Status scanned = Scan(flags, catalog);
  if (!scanned.ok()) {
    LogError("store cannot be read", {{"error", Message(scanned)}});
    return kExitStoreUnreadable;
  }
  (*server)->SetServing(true);
  // Scripts wait for this line to learn the port, whatever the format, so the address is in it.
  for (const std::string& address : (*server)->addresses()) LogListening(address);

  LogInfo("stopping", {{"signal", std::string(strsignal(stop.Wait()))}});
  (*server)->Shutdown(kShutdownGrace);
  LogInfo("stopped", {});
  return 0;
}

int Main(int argc, const char* const* argv) {
  TuneMalloc();
  signal(SIGPIPE, SIG_IGN);
  std::variant<Flags, ExitNow> parsed = ParseFlags(argc, argv, isatty(STDERR_FILENO) != 0);
  if (const auto* exit_now = std::get_if<ExitNow>(&parsed)) return exit_now->code;
  Flags& flags = std::get<Flags>(parsed);
  StartLog(flags.log_format, flags.log_level);
  if (flags.check_config) return CheckConfig(flags);
  StopSignal stop;
  return Serve(std::move(flags), stop);
}

}  // namespace
}  // namespace tensord

int main(int argc, char** argv) { return tensord::Main(argc, argv); }
