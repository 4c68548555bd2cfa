#include "server/plan_budget.h"

#include "src/error.h"

namespace tensord {

size_t PlanBytes(const ReadPlan& plan) {
  size_t bytes = plan.results.size() * sizeof(PlannedResult);
  for (const std::shared_ptr<const SlicePlan>& slice : plan.slices) {
    bytes += sizeof(SlicePlan);
    for (const SlicePlan::Loop& loop : slice->loops()) {
      bytes += sizeof(loop) + loop.ranges.size() * sizeof(loop.ranges[0]);
    }
  }
  for (const std::string& layout : plan.layouts) bytes += sizeof(std::string) + layout.size();
  return bytes;
}

absl::StatusOr<PlanBudget::Share> PlanBudget::Take(size_t plan_bytes) {
  if (plan_bytes <= kSmallBytes) return nullptr;
  if (used_bytes_.fetch_add(plan_bytes) + plan_bytes > kLimitBytes &&
      used_bytes_ != plan_bytes) {  // A plan that is alone has room, however large.
    used_bytes_ -= plan_bytes;
    return MakeError(ErrorReason::kOutOfBuffers,
                     "the memory for large batches is in use by streams that run",
                     {{"retry_ms", "1000"}});
  }
  return Share(this, [this, plan_bytes](const void*) { used_bytes_ -= plan_bytes; });
}

}  // namespace tensord
