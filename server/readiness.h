// When the server is ready for calls.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/catalog.h"

namespace tensord {

struct ReadinessOptions {
  std::vector<std::string> preload;  // Models that must be complete and parsed.
  uint64_t min_models = 0;
};

// Ready from the first catalog on that has what was asked for, and then for good: a model that is
// replaced or removed later concerns who reads it, and must not take all others from the network.
// For one thread at a time.
class Readiness {
 public:
  explicit Readiness(ReadinessOptions options) : options_(std::move(options)) {}

  // Parses what of the models is not parsed yet. Whether it is ready now, or was before.
  bool Update(const Catalog& catalog);

  // Why it is not ready yet, for people; empty when it is.
  const std::string& missing() const { return missing_; }

 private:
  std::string Missing(const Catalog& catalog) const;

  const ReadinessOptions options_;
  bool is_ready_ = false;
  std::string missing_ = "the first scan is not done";
};

}  // namespace tensord
