// How fast narrow slices are gathered, beside plain memcpy of as many bytes. Prints one line a
// case: GB/s of result bytes, the median of several passes over a 256 MiB tensor in 1 MiB chunks,
// the caches emptied before each.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "src/chunk_cursor.h"
#include "src/error.h"

namespace tensord {
namespace {

constexpr uint64_t kTensorBytes = 256 << 20;
constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kEvictBytes = 128 << 20;  // Several times the last cache.
constexpr int kNumPasses = 7;

struct Row {
  const char* name;
  Dtype dtype;
  Shape shape;
  const char* slice;
};

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// GB/s of the median pass; `pass` returns the bytes it moved.
template <typename Pass>
double MedianRate(Pass pass) {
  static std::vector<char> evictor(kEvictBytes);
  std::vector<double> rates;
  for (int i = 0; i < kNumPasses; ++i) {
    std::memset(evictor.data(), i, evictor.size());
    const double begin = Seconds();
    const uint64_t bytes = pass();
    rates.push_back(static_cast<double>(bytes) / (Seconds() - begin) / 1e9);
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

int Main() {
  std::vector<std::byte> tensor(kTensorBytes, std::byte{1});
  std::vector<std::byte> chunk(kChunkBytes);
  std::printf("%-44s %8.2f GB/s\n", "memcpy, 1 MiB chunks", MedianRate([&] {
                for (uint64_t i = 0; i < kTensorBytes; i += kChunkBytes) {
                  std::memcpy(chunk.data(), tensor.data() + i, kChunkBytes);
                }
                return kTensorBytes;
              }));
  const std::vector<Row> rows = {
      {"whole", Dtype::kBF16, {16384, 8192}, "[]"},
      {"rows of 128 B, 16 KiB apart", Dtype::kBF16, {16384, 8192}, "[:, :64]"},
      {"rows of 128 B, 256 B apart", Dtype::kBF16, {1048576, 128}, "[:, :64]"},
      {"rows of 192 B, 16 KiB apart", Dtype::kBF16, {16384, 8192}, "[:, :96]"},
      {"rows of 512 B, 16 KiB apart", Dtype::kBF16, {16384, 8192}, "[:, :256]"},
      {"rows of 4 KiB, 16 KiB apart", Dtype::kBF16, {16384, 8192}, "[:, :2048]"},
      {"rows of 16 KiB reversed", Dtype::kBF16, {16384, 8192}, "[::-1]"},
      {"rows of 128 B reversed", Dtype::kBF16, {2097152, 64}, "[::-1]"},
      {"elements of 1 B, step 2", Dtype::kU8, {16384, 16384}, "[:, ::2]"},
      {"elements of 2 B, step 2", Dtype::kBF16, {16384, 8192}, "[:, ::2]"},
      {"elements of 4 B, step 2", Dtype::kF32, {16384, 4096}, "[:, ::2]"},
      {"elements of 2 B, step -1", Dtype::kBF16, {16384, 8192}, "[:, ::-1]"},
      {"elements of 2 B, step 3", Dtype::kBF16, {16384, 8192}, "[:, ::3]"},
      {"pairs of 2 B elements, [:, :3:2]", Dtype::kBF16, {33554432, 4}, "[:, :3:2]"},
      {"one column of 2 B elements", Dtype::kBF16, {16384, 8192}, "[:, 7]"},
  };
  for (const Row& row : rows) {
    const auto plan = std::make_shared<const SlicePlan>(
        SlicePlan::Create(row.dtype, row.shape, *Slice::Parse(row.slice)).value());
    const double rate = MedianRate([&] {
      ChunkCursor cursor(plan, 0, plan->size_bytes());
      while (cursor.remaining_bytes() > 0) {
        const size_t size = std::min<uint64_t>(kChunkBytes, cursor.remaining_bytes());
        cursor.Gather(tensor, absl::MakeSpan(chunk).subspan(0, size));
      }
      return plan->size_bytes();
    });
    std::printf("%-44s %8.2f GB/s of %4lu MiB\n", row.name, rate,
                static_cast<unsigned long>(plan->size_bytes() >> 20));
  }
  return 0;
}

}  // namespace
}  // namespace tensord

int main() { return tensord::Main(); }
