// What each command does once its words are understood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
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
  bool restart = false;               // Drop what an unfinished pull has left.
};
CommandResult RunPull(const PullOptions& options, const Session& session);

// Each row measures for `duration`: large reads for throughput, reads of 4 KiB for latency.
struct BenchOptions {
  std::string model;  // Empty: the largest.
  std::string tensor;
  bool has_tensor = false;     // Else the model's largest.
  size_t num_connections = 1;  // At most 64.
  size_t num_streams = 1;      // Over all connections; at most 256.
  uint64_t read_bytes = 0;     // Of the large reads. 0: 64 MiB, or the tensor where it is smaller.
  absl::Duration duration = absl::Seconds(5);
};
CommandResult RunBench(const BenchOptions& options, const Session& session);

// Asks grpc.health.v1. Exit codes as grpc-health-probe's, see ProbeExit.
struct ProbeOptions {
  std::string service = "tensord.v1.TensorStore";  // Empty: whether the process answers at all.
};
CommandResult RunProbe(const ProbeOptions& options, const GlobalOptions& global,
                       const Console& console);

// Needs no server. A line for each file as soon as it is known; directories are walked for
// *.safetensors, in order of name, through links to files but not to directories. Then a line for
// each checkpoint there that is not complete: of its index, or of what its shards are called. An
// index that is asked for by its path is judged as a file is. kFailed when any of them is bad,
// cannot be read, or a directory holds none.
struct CheckOptions {
  std::vector<std::string> paths;
};
CommandResult RunCheck(const CheckOptions& options, const Console& console);

}  // namespace tensord::ctl
