#include "src/chunk_cursor.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "src/strided_copy.h"

namespace tensord {
namespace {

using Loop = SlicePlan::Loop;
using Range = SlicePlan::Range;

// The range that holds `position` of the loop.
const Range& RangeOf(const Loop& loop, uint64_t position) {
  if (loop.ranges.size() == 1) return loop.ranges.front();
  const auto after =
      std::upper_bound(loop.ranges.begin(), loop.ranges.end(), position,
                       [](uint64_t value, const Range& range) { return value < range.num_before; });
  return *(after - 1);
}

// Unsigned arithmetic wraps a negative step to the right place.
uint64_t OffsetOf(const Range& range, uint64_t index) {
  return range.first_bytes + index * static_cast<uint64_t>(range.step_bytes);
}

// A place in a plan's nest, told by one range and one index in it per loop.
class Place {
 public:
  // At result byte `offset_bytes` < the plan's size.
  Place(const SlicePlan& plan, uint64_t offset_bytes) : plan_(plan) {
    uint64_t zero = plan.offset_bytes();
    for (size_t i = 0; i < plan.loops().size(); ++i) {
      const Loop& loop = plan.loops()[i];
      const uint64_t position = offset_bytes / loop.position_bytes;
      offset_bytes %= loop.position_bytes;
      const Range& range = RangeOf(loop, position);
      levels_[i] = {&range, position - range.num_before, zero};
      zero += OffsetOf(range, position - range.num_before);
    }
    run_offset_bytes_ = zero;
    used_in_run_ = offset_bytes;
  }

  // Of the current run, in the tensor.
  uint64_t run_offset_bytes() const { return run_offset_bytes_; }
  // Of the current run that lie before the place.
  uint64_t used_in_run() const { return used_in_run_; }

  // Runs from the current one to the end of its range, itself included; they are step_bytes()
  // apart.
  uint64_t num_runs() const {
    if (plan_.is_contiguous()) return 1;
    const Level& inner = levels_[plan_.loops().size() - 1];
    return inner.range->count - inner.index;
  }
  int64_t step_bytes() const {
    return plan_.is_contiguous() ? 0 : levels_[plan_.loops().size() - 1].range->step_bytes;
  }

  // Goes to the beginning of a later run; 0 < `num_runs` <= num_runs(). False after the last run.
  bool NextRuns(uint64_t num_runs) {
    used_in_run_ = 0;
    for (size_t i = plan_.loops().size(); i-- > 0;) {
      if (Advance(i, num_runs)) {
        Rewind(i + 1);
        return true;
      }
      num_runs = 1;
    }
    return false;
  }

 private:
  struct Level {
    const Range* range;
    uint64_t index;  // In the range.
    uint64_t zero;   // Where the loop's zero lies in the tensor.
  };

  // False when the loop ends.
  bool Advance(size_t i, uint64_t num_positions) {
    Level& level = levels_[i];
    level.index += num_positions;
    if (level.index < level.range->count) return true;
    level.index = 0;
    return ++level.range != plan_.loops()[i].ranges.data() + plan_.loops()[i].ranges.size();
  }

  // Sets the loops from `i` inwards to their beginning, after the one around them has moved.
  void Rewind(size_t i) {
    uint64_t zero = levels_[i - 1].zero + OffsetOf(*levels_[i - 1].range, levels_[i - 1].index);
    for (; i < plan_.loops().size(); ++i) {
      levels_[i] = {plan_.loops()[i].ranges.data(), 0, zero};
      zero += levels_[i].range->first_bytes;
    }
    run_offset_bytes_ = zero;
  }

  const SlicePlan& plan_;
  std::array<Level, kMaxRank> levels_;  // Only the first are set: to clear all takes longer.
  uint64_t run_offset_bytes_ = 0;
  uint64_t used_in_run_ = 0;
};

// Grows a range of the tensor until it holds all that part of a result needs.
class HullFinder {
 public:
  explicit HullFinder(const SlicePlan& plan) : loops_(plan.loops()) {}

  // Bytes [begin, end) of what the loops from `level` inwards yield, their zero lying at `zero`;
  // begin < end. Splits into a part of a position, whole positions, and a part again; a part of
  // one side has no parts of the other, so that this is O(rank + ranges touched).
  void Add(size_t level, uint64_t zero, uint64_t begin, uint64_t end) {
    if (level == loops_.size()) return AddBytes(zero + begin, zero + end);
    const Loop& loop = loops_[level];
    uint64_t first = begin / loop.position_bytes;
    const uint64_t last = end / loop.position_bytes;
    const uint64_t before = begin % loop.position_bytes;
    const uint64_t after = end % loop.position_bytes;
    if (first == last) return Add(level + 1, zero + PositionOf(loop, first), before, after);
    if (before > 0) {
      Add(level + 1, zero + PositionOf(loop, first), before, loop.position_bytes);
      ++first;
    }
    if (after > 0) Add(level + 1, zero + PositionOf(loop, last), 0, after);
    if (first < last) AddPositions(loop, zero, first, last);
  }

  uint64_t low() const { return low_; }
  uint64_t high() const { return high_; }

 private:
  static uint64_t PositionOf(const Loop& loop, uint64_t position) {
    const Range& range = RangeOf(loop, position);
    return OffsetOf(range, position - range.num_before);
  }

  // Whole positions [first, last).
  void AddPositions(const Loop& loop, uint64_t zero, uint64_t first, uint64_t last) {
    for (const Range* range = &RangeOf(loop, first); first < last; ++range) {
      const uint64_t stop = std::min(last, range->num_before + range->count);
      AddPosition(loop, zero + OffsetOf(*range, first - range->num_before));
      AddPosition(loop, zero + OffsetOf(*range, stop - 1 - range->num_before));
      first = stop;
    }
  }

  void AddPosition(const Loop& loop, uint64_t position) {
    AddBytes(position + loop.inner_low_bytes, position + loop.inner_high_bytes);
  }

  void AddBytes(uint64_t low, uint64_t high) {
    low_ = std::min(low_, low);
    high_ = std::max(high_, high);
  }

  const std::vector<Loop>& loops_;
  uint64_t low_ = ~uint64_t{0};
  uint64_t high_ = 0;
};

}  // namespace

ChunkCursor::ChunkCursor(std::shared_ptr<const SlicePlan> plan, uint64_t begin, uint64_t end)
    : plan_(std::move(plan)), offset_bytes_(begin), end_bytes_(end) {
  assert(begin <= end && end <= plan_->size_bytes());
}

ChunkCursor::Run ChunkCursor::NextRun(uint64_t max_bytes) const {
  if (remaining_bytes() == 0) return {};
  if (plan_->is_contiguous()) {
    return {plan_->offset_bytes() + offset_bytes_, std::min(remaining_bytes(), max_bytes)};
  }
  const Place place(*plan_, offset_bytes_);
  const uint64_t run_bytes = plan_->run_bytes();
  const bool is_dense = place.step_bytes() == static_cast<int64_t>(run_bytes);
  const uint64_t size_bytes =
      (is_dense ? place.num_runs() * run_bytes : run_bytes) - place.used_in_run();
  return {place.run_offset_bytes() + place.used_in_run(),
          std::min({size_bytes, remaining_bytes(), max_bytes})};
}

void ChunkCursor::Skip(uint64_t size_bytes) {
  assert(size_bytes <= remaining_bytes());
  offset_bytes_ += size_bytes;
}

ChunkCursor::Run ChunkCursor::Hull(uint64_t size_bytes) const {
  size_bytes = std::min(size_bytes, remaining_bytes());
  if (size_bytes == 0) return {};
  if (plan_->is_contiguous()) return {plan_->offset_bytes() + offset_bytes_, size_bytes};
  HullFinder finder(*plan_);
  finder.Add(0, plan_->offset_bytes(), offset_bytes_, offset_bytes_ + size_bytes);
  return {finder.low(), finder.high() - finder.low()};
}

void ChunkCursor::Gather(absl::Span<const std::byte> part, uint64_t begin_bytes,
                         absl::Span<std::byte> destination) {
  assert(destination.size() <= remaining_bytes());
  if (destination.empty()) return;
  if (plan_->is_contiguous()) {
    const std::byte* const source =
        part.data() + (plan_->offset_bytes() + offset_bytes_ - begin_bytes);
    std::memcpy(destination.data(), source, destination.size());
    offset_bytes_ += destination.size();
    return;
  }
  Place place(*plan_, offset_bytes_);
  offset_bytes_ += destination.size();
  const uint64_t run_bytes = plan_->run_bytes();
  do {
    const std::byte* source =
        part.data() + (place.run_offset_bytes() + place.used_in_run() - begin_bytes);
    uint64_t num_runs = 1;
    size_t copied = 0;
    if (place.used_in_run() > 0 || destination.size() < run_bytes) {
      copied = std::min<uint64_t>(run_bytes - place.used_in_run(), destination.size());
      std::memcpy(destination.data(), source, copied);
    } else {
      num_runs = std::min<uint64_t>(place.num_runs(), destination.size() / run_bytes);
      copied = num_runs * run_bytes;
      CopyRuns(source, place.step_bytes(), run_bytes, num_runs, destination.data());
    }
    destination.remove_prefix(copied);
    if (destination.empty()) return;
    place.NextRuns(num_runs);
  } while (true);
}

}  // namespace tensord
