// What each command does once its words are understood.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/tensorctl/console.h"
#include "client/tensorctl/exit_code.h"
#include "client/tensorctl/session.h"
#include "client/tensorctl/tensor_argument.h"
#include "tensord/dtype.h"

namespace tensord::ctl {

// An error is what ends the process with ExitCodeOf and "error: ..."; a code besides kOk means that
// the command has said itself what is wrong.
using CommandResult = absl::StatusOr<ExitCode>;

struct ModelsOptions {
  std::string filter;  // Empty: all models.
};
CommandResult RunModels(const ModelsOptions& options, const Session& session);

struct LsOptions {
  std::string model;
  std::string pattern;  // Empty: all tensors.
  std::vector<Dtype> dtypes;
  bool by_offset = false;
};
CommandResult RunLs(const LsOptions& options, const Session& session);

struct ShowOptions {
  std::string model;
  std::string tensor;
  bool has_tensor = false;        // A tensor may have an empty name.
  std::vector<std::string> keys;  // Of metadata, to be shown in full.
};
CommandResult RunShow(const ShowOptions& options, const Session& session);

struct PeekOptions {
  std::string model;
  std::string tensor;  // TENSOR[SLICE]
  std::vector<ShardArgument> shards;
};
CommandResult RunPeek(const PeekOptions& options, const Session& session);

struct GetOptions {
  std::string model;
  std::string tensor;  // TENSOR[SLICE]
  std::vector<ShardArgument> shards;
  std::string output;  // FILE.npy, FILE.safetensors, FILE.bin or "-".
  bool force = false;  // Raw bytes on a terminal are all right.
};
CommandResult RunGet(const GetOptions& options, const Session& session);

struct PullOptions {
  std::string model;
  std::string directory;
  std::vector<std::string> includes;  // Globs on file names; empty: all.
};
CommandResult RunPull(const PullOptions& options, const Session& session);

// Needs no server. A line for each file as soon as it is known; directories are walked for
// *.safetensors, in order of name, through links to files but not to directories. kFailed when any
// file is bad, cannot be read, or a directory holds none.
struct CheckOptions {
  std::vector<std::string> paths;
};
CommandResult RunCheck(const CheckOptions& options, const Console& console);

}  // namespace tensord::ctl
