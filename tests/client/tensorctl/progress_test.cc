#include "client/tensorctl/progress.h"

#include <gtest/gtest.h>

namespace tensord::ctl {
namespace {

TEST(ProgressText, SaysPartSizeAndRate) {
  EXPECT_EQ(ProgressText("a.bin", 512 << 10, 2 << 20, 0.5),
            "a.bin   25%  512.0 KiB of 2.0 MiB  1.0 MiB/s");
}

TEST(ProgressText, AnEmptyFileIsDone) {
  EXPECT_EQ(ProgressText("a", 0, 0, 0), "a  100%  0 B of 0 B");
}

TEST(Progress, IsSilentUnlessShown) {
  testing::internal::CaptureStderr();
  {
    Progress progress(/*shown=*/false, "a", 10);
    progress.Update(5);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Progress, ClearsItsLineAtTheEnd) {
  testing::internal::CaptureStderr();
  {
    Progress progress(/*shown=*/true, "a", 10);
    progress.Update(5);
    progress.Update(6);  // Too early for another drawing.
  }
  const std::string drawn = testing::internal::GetCapturedStderr();
  EXPECT_NE(drawn.find("5 B of 10 B"), std::string::npos);
  EXPECT_EQ(drawn.find("6 B of 10 B"), std::string::npos);
  EXPECT_EQ(drawn.substr(drawn.size() - 4), "\r\x1b[K");
}

}  // namespace
}  // namespace tensord::ctl
