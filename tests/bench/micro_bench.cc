// How fast the core's parts are by themselves: reading headers, planning slices, gathering them.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/chunk_cursor.h"
#include "src/crc32c.h"
#include "src/safetensors_header.h"
#include "src/slice_plan.h"

namespace tensord {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr uint64_t kTensorBytes = 256 << 20;  // Several times the last cache.

// A header of F32 scalars, 116 bytes each.
std::string HeaderJson(size_t num_tensors) {
  std::string json = "{";
  for (size_t i = 0; i < num_tensors; ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"model.layers.", i % 61, ".mlp.experts.", i % 256,
                    ".gate_proj.w", i, "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[",
                    4 * i, ",", 4 * i + 4, "]}");
  }
  return json + "}";
}

template <typename T>
T ValueOrAbort(absl::StatusOr<T> value) {
  if (!value.ok()) std::abort();
  return *std::move(value);
}

void ParseHeader(benchmark::State& state) {
  const size_t num_tensors = static_cast<size_t>(state.range(0));
  const std::string json = HeaderJson(num_tensors);
  for (auto _ : state) {
    const uint64_t file_size = 8 + json.size() + 4 * num_tensors;
    benchmark::DoNotOptimize(ValueOrAbort(SafetensorsHeader::Parse(json, file_size)));
  }
  state.SetBytesProcessed(static_cast<int64_t>(json.size()) * state.iterations());
}
BENCHMARK(ParseHeader)->Arg(300)->Arg(100'000)->Unit(benchmark::kMillisecond);

void FindTensor(benchmark::State& state) {
  const size_t num_tensors = 100'000;
  const std::string json = HeaderJson(num_tensors);
  const SafetensorsHeader header =
      ValueOrAbort(SafetensorsHeader::Parse(json, 8 + json.size() + 4 * num_tensors));
  size_t next = 0;
  for (auto _ : state) {
    next = (next + 77'777) % num_tensors;
    benchmark::DoNotOptimize(header.Find(header.tensor(next).name));
  }
}
BENCHMARK(FindTensor);

void PlanSlice(benchmark::State& state, const char* text) {
  const Shape shape = {8192, 64, 128};
  const Slice slice = ValueOrAbort(Slice::Parse(text));
  for (auto _ : state) {
    benchmark::DoNotOptimize(ValueOrAbort(SlicePlan::Create(Dtype::kBF16, shape, slice)));
  }
}
BENCHMARK_CAPTURE(PlanSlice, whole, "");
BENCHMARK_CAPTURE(PlanSlice, rows, "[128:256]");
BENCHMARK_CAPTURE(PlanSlice, strided, "[::2, ::-3, 5:77:7]");

void ParseSlice(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Slice::Parse("[0:128, ::2, -1]"));
}
BENCHMARK(ParseSlice);

const std::vector<std::byte>& Tensor() {
  static const std::vector<std::byte> tensor(kTensorBytes, std::byte{7});
  return tensor;
}

// Result bytes a second of a [rows, 16 KiB] matrix's columns, chunk by chunk.
void GatherSlice(benchmark::State& state, const char* text) {
  const Shape shape = {kTensorBytes / 16384, 8192};
  const auto plan = std::make_shared<const SlicePlan>(
      ValueOrAbort(SlicePlan::Create(Dtype::kBF16, shape, ValueOrAbort(Slice::Parse(text)))));
  std::vector<std::byte> chunk(kChunkBytes);
  Tensor();  // Made before the clock runs.
  for (auto _ : state) {
    ChunkCursor cursor(plan, 0, plan->size_bytes());
    while (cursor.remaining_bytes() > 0) {
      cursor.Gather(Tensor(), absl::MakeSpan(chunk).first(
                                  std::min<uint64_t>(kChunkBytes, cursor.remaining_bytes())));
      benchmark::ClobberMemory();
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(plan->size_bytes()) * state.iterations());
}
BENCHMARK_CAPTURE(GatherSlice, rows_of_128_bytes, "[:, :64]")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(GatherSlice, rows_of_512_bytes, "[:, :256]")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(GatherSlice, rows_of_4096_bytes, "[:, :2048]")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(GatherSlice, every_second_element, "[:, ::2]")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(GatherSlice, one_element_a_row, "[:, 5]")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(GatherSlice, elements_backwards, "[:, ::-1]")->Unit(benchmark::kMillisecond);

// What gathering is up against: as many bytes as a slice of 4 KiB rows has, contiguous.
void Memcpy(benchmark::State& state) {
  const uint64_t size_bytes = kTensorBytes / 4;
  std::vector<std::byte> chunk(kChunkBytes);
  for (auto _ : state) {
    for (uint64_t at = 0; at < size_bytes; at += kChunkBytes) {
      std::memcpy(chunk.data(), Tensor().data() + at, kChunkBytes);
      benchmark::ClobberMemory();
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(size_bytes) * state.iterations());
}
BENCHMARK(Memcpy)->Unit(benchmark::kMillisecond);

void Crc32c(benchmark::State& state) {
  const auto bytes = absl::MakeConstSpan(Tensor()).first(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(ExtendCrc32c(0, bytes));
  state.SetBytesProcessed(state.range(0) * state.iterations());
}
BENCHMARK(Crc32c)->Arg(4096)->Arg(64 << 10)->Arg(1 << 20);

}  // namespace
}  // namespace tensord

BENCHMARK_MAIN();
