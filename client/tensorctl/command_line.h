// The words behind `tensorctl`, understood.
#pragma once

#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/session.h"

namespace tensord::ctl {

// --help or --version: print this and end with kOk.
struct ShowText {
  std::string text;
};

struct CommandLine {
  GlobalOptions global;
  std::variant<ShowText, ModelsOptions, LsOptions, ShowOptions, PeekOptions, GetOptions,
               PullOptions, CheckOptions, BenchOptions, ProbeOptions>
      command;
};

// Reads TENSORD_ADDRESS too. Errors are usage errors that say where to find help.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace tensord::ctl
