#include "server/file_faults.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/error.h"
#include "src/file_identity.h"

namespace tensord {
namespace {

TEST(FileFaults, AreCountedByKindAndTold) {
  std::vector<FileFault> told;
  FileFaults faults([&told](const FileFault& fault) { told.push_back(fault); });
  faults.Report("m", "a.safetensors", Annotate(Truncated(10, 5), "file \"a.safetensors\""));
  faults.Report("m", "b.safetensors", SystemError("cannot read", 5));
  faults.Report("m", "b.safetensors", MakeError(ErrorReason::kFileChanged, "modified"));
  const FileFaults::Counts counts = faults.counts();
  EXPECT_EQ(counts.num_truncated, 1u);
  EXPECT_EQ(counts.num_io_errors, 1u);
  EXPECT_EQ(counts.num_changed, 1u);
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].model, "m");
  EXPECT_EQ(told[0].file, "a.safetensors");
  EXPECT_EQ(FileFaultKindName(told[0].kind), "truncated");
  EXPECT_EQ(FileFaultKindName(told[1].kind), "io_error");
  EXPECT_EQ(FileFaultKindName(told[2].kind), "changed");
}

TEST(FileFaults, OtherErrorsAreNone) {
  FileFaults faults(nullptr);
  faults.Report("m", "f", absl::OkStatus());
  faults.Report("m", "f", absl::CancelledError("gone"));
  faults.Report("m", "f", MakeError(ErrorReason::kShardMissing, "never there"));
  const FileFaults::Counts counts = faults.counts();
  EXPECT_EQ(counts.num_truncated + counts.num_io_errors + counts.num_changed, 0u);
}

}  // namespace
}  // namespace tensord
