#include "server/fault_log.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/hash/hash.h"
#include "server/log.h"

namespace tensord {
namespace {

constexpr std::chrono::seconds kInterval(10);
constexpr size_t kMaxLines = 20;  // In an interval.

}  // namespace

bool FaultLog::Admit(const FileFault& fault, Clock::time_point now) {
  if (now >= interval_end_) {
    interval_end_ = now + kInterval;
    told_.clear();
  }
  const uint64_t hash = absl::HashOf(fault.model, fault.file, static_cast<int>(fault.kind));
  const bool is_news = told_.size() < kMaxLines && told_.insert(hash).second;
  if (!is_news) ++num_untold_;
  return is_news;
}

void FaultLog::Report(const FileFault& fault) {
  uint64_t num_untold = 0;
  {
    const MutexLock lock(mutex_);
    if (!Admit(fault, Clock::now())) return;
    num_untold = std::exchange(num_untold_, 0);
  }
  LogError("file broke while it was served", {{"model", fault.model},
                                              {"file", fault.file},
                                              {"kind", std::string(FileFaultKindName(fault.kind))},
                                              {"error", fault.message},
                                              {"lines_left_out", num_untold}});
}

}  // namespace tensord
