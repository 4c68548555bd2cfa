#include "src/slice_plan.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/checked_math.h"
#include "src/dim_resolver.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {

// Builds one plan. Bits are counted until every run is known to begin and end on a byte.
class SlicePlanner {
 public:
  SlicePlanner(Dtype dtype, absl::Span<const uint64_t> shape, const Slice& slice)
      : dtype_(dtype), shape_(shape), slice_(slice) {}

  absl::StatusOr<SlicePlan> Run() {
    TENSORD_RETURN_IF_ERROR(CheckRank());
    TENSORD_RETURN_IF_ERROR(ResolveDims());
    SetResultShape();
    if (IsEmpty()) return std::move(plan_);  // Strides of an empty tensor need not fit 64 bits.
    TENSORD_RETURN_IF_ERROR(CheckSize());
    NestLoops();
    TENSORD_RETURN_IF_ERROR(AlignRuns());
    TENSORD_RETURN_IF_ERROR(CountInBytes());
    MergeLoops();
    SumUp();
    return std::move(plan_);
  }

 private:
  // One dimension that is not part of the run; innermost first while the nest is built.
  struct BitLoop {
    std::vector<PositionRange> ranges;
    uint64_t stride_bits = 0;  // From one position of the dimension to the next.
  };

  absl::Status CheckRank() const {
    const size_t num_dims = slice_.dims.size();
    if (slice_.ellipsis && *slice_.ellipsis > num_dims) {
      return Error(absl::StrCat("an ellipsis before entry ", *slice_.ellipsis, " of ", num_dims));
    }
    if (num_dims > shape_.size()) {
      return Error(absl::StrCat(num_dims, " indices are too many for a tensor of rank ",
                                shape_.size(), " and shape ", ShapeText()));
    }
    if (num_dims > 0 && shape_.size() > kMaxRank) {
      return Error(absl::StrCat("a tensor of rank ", shape_.size(), " can only be read whole; ",
                                kMaxRank, " dimensions can be sliced"));
    }
    return absl::OkStatus();
  }

  absl::Status ResolveDims() {
    const size_t num_front = slice_.ellipsis.value_or(slice_.dims.size());
    const size_t num_whole = shape_.size() - slice_.dims.size();
    dims_.reserve(shape_.size());
    for (size_t i = 0; i < shape_.size(); ++i) {
      if (i >= num_front && i < num_front + num_whole) {
        dims_.push_back(WholeDim(shape_[i]));
        continue;
      }
      const Dim& dim = slice_.dims[i < num_front ? i : i - num_whole];
      TENSORD_ASSIGN_OR_RETURN(ResolvedDim resolved, ResolveDim(dim, i, shape_[i]));
      dims_.push_back(std::move(resolved));
    }
    return absl::OkStatus();
  }

  void SetResultShape() {
    for (const ResolvedDim& dim : dims_) {
      if (!dim.is_dropped) plan_.shape_.push_back(dim.count);
    }
  }

  bool IsEmpty() const {
    return std::any_of(dims_.begin(), dims_.end(),
                       [](const ResolvedDim& dim) { return dim.count == 0; });
  }

  // A caller's slip, not the world's: a header with such a tensor is refused.
  absl::Status CheckSize() const {
    std::optional<uint64_t> bits = BitsPerElement(dtype_);
    for (size_t i = 0; i < shape_.size() && bits; ++i) bits = CheckedMul(*bits, shape_[i]);
    if (bits) return absl::OkStatus();
    return Error(absl::StrCat("the size in bits of shape ", ShapeText(), " overflows"));
  }

  void NestLoops() {
    run_bits_ = BitsPerElement(dtype_);
    uint64_t stride_bits = run_bits_;
    for (size_t i = shape_.size(); i-- > 0;) {
      ResolvedDim& dim = dims_[i];
      const PositionRange& first = dim.ranges.front();
      if (dim.count == 1) {
        offset_bits_ += first.first * stride_bits;
      } else if (dim.ranges.size() == 1 && first.step == 1 && nest_.empty() &&
                 run_bits_ == stride_bits) {
        offset_bits_ += first.first * stride_bits;
        run_bits_ *= first.count;
      } else {
        nest_.push_back({std::move(dim.ranges), stride_bits});
      }
      stride_bits *= shape_[i];
    }
  }

  // A sub-byte run can only be whole bytes together with its neighbours in each range of a list:
  // then the run becomes as many positions as fill bytes.
  absl::Status AlignRuns() {
    if (run_bits_ % 8 == 0) return absl::OkStatus();
    if (nest_.empty() || nest_.front().stride_bits != run_bits_) return Misaligned(run_bits_);
    const uint64_t group = 8 / std::gcd(run_bits_, uint64_t{8});
    for (PositionRange& range : nest_.front().ranges) {
      if (range.step != 1 || range.count % group != 0) {
        return Misaligned(range.step == 1 ? range.count * run_bits_ : run_bits_);
      }
      range.count /= group;
      range.step = static_cast<int64_t>(group);
    }
    run_bits_ *= group;
    return absl::OkStatus();
  }

  // All runs begin on a byte exactly if no loop's positions differ by a part of one and the first
  // run does. Each loop's common rest moves to the offset.
  absl::Status CountInBytes() {
    for (auto nested = nest_.rbegin(); nested != nest_.rend(); ++nested) {
      const uint64_t stride_bits = nested->stride_bits;
      const uint64_t rest = nested->ranges.front().first * stride_bits % 8;
      SlicePlan::Loop loop;
      loop.ranges.reserve(nested->ranges.size());
      for (const PositionRange& range : nested->ranges) {
        const uint64_t first_bits = range.first * stride_bits;
        // A single position has no step; dividing first would lose the sign or the half byte.
        const uint64_t step_bits = range.count == 1 ? 0 : Magnitude(range.step) * stride_bits;
        if (first_bits % 8 != rest || step_bits % 8 != 0) return Misaligned(run_bits_);
        const auto step_bytes = static_cast<int64_t>(step_bits / 8);
        loop.ranges.push_back({(first_bits - rest) / 8, range.count,
                               range.step < 0 ? -step_bytes : step_bytes, loop.count});
        loop.count += range.count;
      }
      offset_bits_ += rest;
      plan_.loops_.push_back(std::move(loop));
    }
    if (offset_bits_ % 8 != 0) return Misaligned(run_bits_);
    plan_.offset_bytes_ = offset_bits_ / 8;
    plan_.run_bytes_ = run_bits_ / 8;
    return absl::OkStatus();
  }

  // Two loops are one when a step of the outer goes where the inner would have gone next.
  void MergeLoops() {
    std::vector<SlicePlan::Loop> merged;
    for (SlicePlan::Loop& loop : plan_.loops_) {
      if (merged.empty() || !ContinueEachOther(merged.back(), loop)) {
        merged.push_back(std::move(loop));
        continue;
      }
      SlicePlan::Range& outer = merged.back().ranges.front();
      const SlicePlan::Range& inner = loop.ranges.front();
      outer.first_bytes += inner.first_bytes;
      outer.count *= inner.count;
      outer.step_bytes = inner.step_bytes;
      merged.back().count = outer.count;
    }
    plan_.loops_ = std::move(merged);
  }

  // A step is less than 2^61 bytes and |step| * (count - 1) too, so the product cannot wrap.
  static bool ContinueEachOther(const SlicePlan::Loop& outer, const SlicePlan::Loop& inner) {
    if (outer.ranges.size() != 1 || inner.ranges.size() != 1) return false;
    const SlicePlan::Range& range = inner.ranges.front();
    return outer.ranges.front().step_bytes == range.step_bytes * static_cast<int64_t>(range.count);
  }

  void SumUp() {
    uint64_t size_bytes = plan_.run_bytes_;
    uint64_t low = 0;
    uint64_t high = plan_.run_bytes_;
    for (auto loop = plan_.loops_.rbegin(); loop != plan_.loops_.rend(); ++loop) {
      loop->position_bytes = size_bytes;
      loop->inner_low_bytes = low;
      loop->inner_high_bytes = high;
      size_bytes *= loop->count;
      const auto [lowest, highest] = Span(*loop);
      low += lowest;
      high += highest;
    }
    plan_.size_bytes_ = size_bytes;
  }

  // The loop's lowest and highest position.
  static std::pair<uint64_t, uint64_t> Span(const SlicePlan::Loop& loop) {
    std::pair<uint64_t, uint64_t> span(~uint64_t{0}, 0);
    for (const SlicePlan::Range& range : loop.ranges) {
      const uint64_t last = range.first_bytes + (range.count - 1) * range.step_bytes;
      span.first = std::min({span.first, range.first_bytes, last});
      span.second = std::max({span.second, range.first_bytes, last});
    }
    return span;
  }

  static uint64_t Magnitude(int64_t step) {
    return step < 0 ? uint64_t{0} - static_cast<uint64_t>(step) : static_cast<uint64_t>(step);
  }

  absl::Status Misaligned(uint64_t run_bits) const {
    return MakeError(ErrorReason::kBadSlice,
                     absl::StrCat("MisalignedSlice: ", slice_.ToString(), " of a tensor of dtype ",
                                  DtypeName(dtype_), " and shape ", ShapeText(), " needs a run of ",
                                  run_bits, " bits that does not begin and end on a byte"),
                     {{"variant", "MisalignedSlice"}});
  }

  static absl::Status Error(absl::string_view message) {
    return MakeError(ErrorReason::kBadSlice, message);
  }

  std::string ShapeText() const {
    const auto shown = shape_.subspan(0, kMaxRank);
    return absl::StrCat("[", absl::StrJoin(shown, ", "),
                        shown.size() < shape_.size() ? ", ...]" : "]");
  }

  const Dtype dtype_;
  const absl::Span<const uint64_t> shape_;
  const Slice& slice_;
  std::vector<ResolvedDim> dims_;
  std::vector<BitLoop> nest_;  // Innermost first.
  uint64_t run_bits_ = 0;
  uint64_t offset_bits_ = 0;
  SlicePlan plan_;
};

absl::StatusOr<SlicePlan> SlicePlan::Create(Dtype dtype, absl::Span<const uint64_t> shape,
                                            const Slice& slice) {
  return SlicePlanner(dtype, shape, slice).Run();
}

}  // namespace tensord
