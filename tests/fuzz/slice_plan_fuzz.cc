// Any index of any small tensor is planned or refused; what a plan yields is as many bytes as its
// shape says, all inside the tensor, the same whichever way it is walked.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <vector>

#include "src/checked_math.h"
#include "src/chunk_cursor.h"
#include "src/slice_plan.h"

namespace tensord {
namespace {

constexpr uint64_t kMostBytes = 1 << 12;  // Of a tensor whose bytes are gathered.

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

// Takes numbers off the input; zeros when it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data, size) {}

  uint64_t Byte() {
    if (data_.empty()) return 0;
    const uint64_t byte = data_.front();
    data_.remove_prefix(1);
    return byte;
  }

  // Mostly small, now and then any 64 bits.
  int64_t Number() {
    const uint64_t byte = Byte();
    if (byte < 250) return static_cast<int64_t>(byte) - 100;
    uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | Byte();
    return static_cast<int64_t>(number);
  }

  std::optional<int64_t> Bound() {
    if (Byte() % 3 == 0) return std::nullopt;
    return Number();
  }

 private:
  absl::Span<const uint8_t> data_;
};

DimRange AnyRange(Input& input) { return {input.Bound(), input.Bound(), input.Bound()}; }

Dim AnyDim(Input& input) {
  switch (input.Byte() % 4) {
    case 0:
      return DimIndex{input.Number()};
    case 1:
      return AnyRange(input);
    case 2: {
      DimRanges list;
      for (uint64_t i = input.Byte() % 6; i > 0; --i) list.ranges.push_back(AnyRange(input));
      return list;
    }
    default:
      return Shard{static_cast<uint32_t>(input.Number()), static_cast<uint32_t>(input.Number()),
                   static_cast<uint32_t>(input.Number()), static_cast<uint64_t>(input.Number()),
                   input.Byte() % 2 == 0};
  }
}

// nullopt when a header would be refused for it.
std::optional<uint64_t> SizeBytes(Dtype dtype, const Shape& shape) {
  std::optional<uint64_t> bits = 1;
  for (const uint64_t extent : shape) {
    if (bits) bits = CheckedMul(*bits, extent);
  }
  if (bits) bits = CheckedMul(*bits, BitsPerElement(dtype));
  if (!bits || *bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

// Run by run, at most `max_runs` of them: without the tensor's bytes, so its size does not matter.
void CheckRuns(const std::shared_ptr<const SlicePlan>& plan, uint64_t tensor_bytes, uint64_t begin,
               uint64_t end, int max_runs) {
  ChunkCursor cursor(plan, begin, end);
  const ChunkCursor::Run hull = cursor.Hull(end - begin);
  Check(hull.offset_bytes <= tensor_bytes && hull.size_bytes <= tensor_bytes - hull.offset_bytes,
        "the hull is inside the tensor");
  for (int i = 0; cursor.remaining_bytes() > 0 && i < max_runs; ++i) {
    const ChunkCursor::Run run = cursor.NextRun(~uint64_t{0});
    Check(run.size_bytes > 0 && run.size_bytes <= cursor.remaining_bytes(), "runs make progress");
    Check(run.offset_bytes >= hull.offset_bytes && run.size_bytes <= hull.size_bytes &&
              run.offset_bytes - hull.offset_bytes <= hull.size_bytes - run.size_bytes,
          "runs are inside the hull");
    cursor.Skip(run.size_bytes);
    Check(cursor.offset_bytes() + cursor.remaining_bytes() == end, "nothing is lost");
  }
}

// The bytes gathered in chunks are those of the runs.
void CheckBytes(const std::shared_ptr<const SlicePlan>& plan, uint64_t tensor_bytes,
                uint64_t chunk_bytes) {
  std::vector<std::byte> tensor(tensor_bytes);
  for (uint64_t i = 0; i < tensor_bytes; ++i) tensor[i] = static_cast<std::byte>(i * 167 >> 3);
  ChunkCursor cursor(plan, 0, plan->size_bytes());
  ChunkCursor runs(plan, 0, plan->size_bytes());
  uint64_t num_bytes = 0;
  while (cursor.remaining_bytes() > 0) {
    std::vector<std::byte> chunk(std::min(chunk_bytes, cursor.remaining_bytes()));
    cursor.Gather(tensor, absl::MakeSpan(chunk));
    for (absl::Span<const std::byte> left = chunk; !left.empty();) {
      const ChunkCursor::Run run = runs.NextRun(left.size());
      Check(std::equal(left.begin(), left.begin() + run.size_bytes,
                       tensor.begin() + run.offset_bytes),
            "gathered bytes are the runs' bytes");
      left.remove_prefix(run.size_bytes);
      runs.Skip(run.size_bytes);
    }
    num_bytes += chunk.size();
  }
  Check(num_bytes == plan->size_bytes(), "bytes yielded are size_bytes");
}

void Run(Input input) {
  const auto dtype = static_cast<Dtype>(input.Byte() % kNumDtypes);
  Shape shape(input.Byte() % 6);
  const bool is_huge = input.Byte() % 8 == 0;
  for (uint64_t& extent : shape) {
    extent = is_huge ? static_cast<uint64_t>(input.Number()) : input.Byte() % 12;
  }
  const std::optional<uint64_t> tensor_bytes = SizeBytes(dtype, shape);
  if (!tensor_bytes) return;
  Slice slice;
  for (uint64_t i = input.Byte() % 7; i > 0; --i) slice.dims.push_back(AnyDim(input));
  if (input.Byte() % 3 == 0) slice.ellipsis = input.Byte() % 8;
  slice.ToString();
  auto created = SlicePlan::Create(dtype, shape, slice);
  if (!created.ok()) return;
  const auto plan = std::make_shared<const SlicePlan>(*std::move(created));
  Check(SizeBytes(dtype, plan->shape()) == plan->size_bytes(), "size_bytes is the shape's");
  Check(plan->size_bytes() <= *tensor_bytes, "a result is no larger than its tensor");
  const uint64_t size_bytes = plan->size_bytes();
  CheckRuns(plan, *tensor_bytes, 0, size_bytes, 50);
  const uint64_t begin = static_cast<uint64_t>(input.Number()) % (size_bytes + 1);
  const uint64_t end = begin + static_cast<uint64_t>(input.Number()) % (size_bytes - begin + 1);
  CheckRuns(plan, *tensor_bytes, begin, end, 50);
  if (*tensor_bytes <= kMostBytes) CheckBytes(plan, *tensor_bytes, 1 + input.Byte());
}

}  // namespace
}  // namespace tensord

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tensord::Run(tensord::Input(data, size));
  return 0;
}
