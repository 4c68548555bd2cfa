// How the programs that measure tensord find their tensor.
#pragma once

#include <string>

#include "CLI/CLI.hpp"
#include "tensord/client.h"
#include "tests/bench/bench_main.h"

namespace tensord::bench {

struct TensordOptions {
  std::string address;
  std::string model;
  std::string tensor;
  ClientOptions client;
};

inline void AddTensordOptions(CLI::App& app, TensordOptions& options) {
  app.add_option("--address", options.address)->required();
  app.add_option("--model", options.model)->required();
  app.add_option("--tensor", options.tensor);
  app.add_option("--chunk-bytes", options.client.chunk_bytes);
  app.add_flag("--checksum", options.client.checksum);
  app.add_option("--tls-ca", options.client.tls_ca)->check(CLI::ExistingFile);
}

}  // namespace tensord::bench
