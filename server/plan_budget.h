// The memory of what calls have planned.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "server/read_plan.h"

namespace tensord {

// About what the plan takes.
size_t PlanBytes(const ReadPlan& plan);

// A request of kilobytes may be planned as a million results, and its client may then read none of
// them. So large plans share a limit. Thread-safe; outlives its shares.
class PlanBudget {
 public:
  // Held for as long as the plan is. Null: the plan is small and counts nowhere.
  using Share = std::shared_ptr<const void>;

  // Two million results, or 20 times DeepSeek-V3's 91,991 names. A plan that is alone may be
  // larger.
  static constexpr size_t kLimitBytes = size_t{128} << 20;
  // 600 results. As many streams as may run, all of them with so much, make the limit once more.
  static constexpr size_t kSmallBytes = size_t{64} << 10;

  // Errors: OUT_OF_BUFFERS, with a hint when to retry.
  absl::StatusOr<Share> Take(size_t plan_bytes);

  size_t used_bytes() const { return used_bytes_; }

 private:
  std::atomic<size_t> used_bytes_{0};
};

}  // namespace tensord
