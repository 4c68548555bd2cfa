#include "src/strided_copy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace tensord {
namespace {

// Nothing around the runs: a sanitizer sees what is read or written beside them.
struct Case {
  size_t run_bytes;
  int64_t step_bytes;
  size_t num_runs;
};

void ExpectCopied(const Case& test) {
  SCOPED_TRACE(testing::Message() << test.num_runs << " runs of " << test.run_bytes << ", "
                                  << test.step_bytes << " apart");
  const uint64_t stride = static_cast<uint64_t>(std::abs(test.step_bytes));
  const uint64_t span = stride * (test.num_runs - 1) + test.run_bytes;
  std::vector<std::byte> source(span);
  std::mt19937 random(7);
  for (std::byte& byte : source) byte = static_cast<std::byte>(random());
  const std::byte* const first = source.data() + (test.step_bytes < 0 ? span - test.run_bytes : 0);
  std::vector<std::byte> wanted;
  for (size_t i = 0; i < test.num_runs; ++i) {
    const std::byte* const run = first + static_cast<int64_t>(i) * test.step_bytes;
    wanted.insert(wanted.end(), run, run + test.run_bytes);
  }
  std::vector<std::byte> got(test.num_runs * test.run_bytes);
  CopyRuns(first, test.step_bytes, test.run_bytes, test.num_runs, got.data());
  EXPECT_TRUE(got == wanted);
}

TEST(StridedCopy, TakesEveryRunWhateverItsSizeAndDistance) {
  for (const size_t run_bytes : {1, 2, 3, 4, 8, 16, 24, 32, 64, 100, 128, 192, 500, 2048}) {
    const auto run = static_cast<int64_t>(run_bytes);
    for (const int64_t step : {run, run + 1, 2 * run, int64_t{2047} + run, int64_t{16384}}) {
      for (const size_t num_runs : {1, 2, 7, 8, 9, 40}) {
        ExpectCopied({run_bytes, step, num_runs});
        ExpectCopied({run_bytes, -step, num_runs});
      }
    }
  }
}

}  // namespace
}  // namespace tensord
