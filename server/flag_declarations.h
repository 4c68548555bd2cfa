// Every flag of tensord, once: name, unit, default, help, range.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/chunk_options.h"
#include "server/credentials.h"
#include "server/io_pool.h"
#include "src/catalog.h"

namespace CLI {
class App;
}  // namespace CLI

namespace tensord {

inline constexpr char kDefaultListen[] = "127.0.0.1:50051";
inline constexpr char kDefaultHttpListen[] = "127.0.0.1:9464";

// What flags hold, as it stands on the command line. Durations are in milliseconds.
struct RawFlags {
  std::vector<std::string> stores;
  std::optional<uint64_t> rescan_interval_ms;
  uint64_t index_memory_bytes = kDefaultIndexMemoryBytes;
  uint64_t max_open_files = 0;
  std::string read_mode = "auto";
  std::vector<std::string> preload;
  uint64_t ready_min_models = 0;

  std::vector<std::string> listen;
  std::string mode = "0660";
  std::vector<std::string> allow_uids;
  bool insecure_allow_remote = false;
  CredentialOptions credentials;
  std::string http_listen;  // Empty: not given.
  std::string reflection = "auto";
  uint64_t chunk_bytes = kDefaultChunkBytes;
  uint64_t max_request_bytes = 4 << 20;
  uint64_t buffer_memory_bytes = 64 << 20;
  uint64_t io_threads = IoPool::DefaultThreads();
  uint64_t max_streams = 1024;
  uint64_t max_connections = 256;
  uint64_t stall_timeout_ms = 60'000;
  uint64_t max_connection_age_ms = 0;

  uint64_t drain_delay_ms = 0;
  uint64_t shutdown_grace_ms = 25'000;
  std::string sandbox = "auto";
  std::string log_format;  // Empty: not given.
  std::string log_level = "info";
  std::string access_log = "slow";
  std::string config;
  bool check_config = false;
  bool print_config = false;
};

// Declares them all; `raw` must outlive the parsing.
void DeclareFlags(CLI::App& app, RawFlags& raw);

}  // namespace tensord
