// tensorctl: looks into the models of a tensord server, and fetches tensors, slices and files.
//
// Exit codes: 0 done; 1 what was asked failed; 2 the command line is wrong; 3 the server cannot be
// reached or does not serve now; 4 --timeout ended the command (`probe` has its own). A reader that
// goes away ends the command as it ends other tools, by SIGPIPE, and Ctrl-C by SIGINT: no file is
// half written under its final name then, because files are renamed to it when they are complete.
#include <fcntl.h>
#include <grpc/support/log.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <type_traits>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/tensorctl/command_line.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/console.h"
#include "client/tensorctl/exit_code.h"
#include "client/tensorctl/session.h"
#include "src/openssl_exit.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

CommandResult Run(const ModelsOptions& options, const Session& s) { return RunModels(options, s); }
CommandResult Run(const LsOptions& options, const Session& s) { return RunLs(options, s); }
CommandResult Run(const ShowOptions& options, const Session& s) { return RunShow(options, s); }
CommandResult Run(const PeekOptions& options, const Session& s) { return RunPeek(options, s); }
CommandResult Run(const GetOptions& options, const Session& s) { return RunGet(options, s); }
CommandResult Run(const PullOptions& options, const Session& s) { return RunPull(options, s); }
CommandResult Run(const BenchOptions& options, const Session& s) { return RunBench(options, s); }

CommandResult Run(const CommandLine& line, const Console& console) {
  return std::visit(
      [&](const auto& options) -> CommandResult {
        using Options = std::decay_t<decltype(options)>;
        if constexpr (std::is_same_v<Options, ShowText>) {
          TENSORD_RETURN_IF_ERROR(console.Print(options.text));
          return ExitCode::kOk;
        } else if constexpr (std::is_same_v<Options, ProbeOptions>) {
          return RunProbe(options, line.global, console);
        } else if constexpr (std::is_same_v<Options, CheckOptions>) {
          return RunCheck(options, console);
        } else {
          TENSORD_ASSIGN_OR_RETURN(const Session session, Session::Open(line.global, console));
          return Run(options, session);
        }
      },
      line.command);
}

ExitCode Fail(const absl::Status& status, const Console& console) {
  console.Warn(absl::StrCat("error: ", ErrorText(status)));
  return ExitCodeOf(status);
}

// A closed standard stream's number would go to the next socket or file, and our output into it.
// What is opened here in its place can be neither read nor written with success.
void FillClosedStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// gRPC's own lines say in its words what our errors say in ours; GRPC_VERBOSITY brings them back.
void SilenceGrpc() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
}

// Whoever probes knows other exit codes, see ProbeExit.
bool IsProbe(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    if (word == "-s" || word == "--server" || word == "--timeout") {
      ++i;
    } else if (word.empty() || word[0] != '-') {
      return word == "probe";
    }
  }
  return false;
}

ExitCode Main(int argc, const char* const* argv) {
  KeepOpenSslAtExit();
  FillClosedStreams();
  SilenceGrpc();
  std::signal(SIGPIPE, SIG_DFL);  // Some parents leave it ignored.
  const auto line = ParseCommandLine(argc, argv);
  if (!line.ok()) {
    const ExitCode code = Fail(line.status(), Console(false));
    return IsProbe(argc, argv) ? static_cast<ExitCode>(ProbeExit::kUsage) : code;
  }
  const Console console(line->global.json);
  const CommandResult result = Run(*line, console);
  return result.ok() ? *result : Fail(result.status(), console);
}

}  // namespace
}  // namespace tensord::ctl

int main(int argc, char** argv) { return static_cast<int>(tensord::ctl::Main(argc, argv)); }
