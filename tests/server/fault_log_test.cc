#include "server/fault_log.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/log.h"

namespace tensord {
namespace {

using testing::HasSubstr;

template <typename Work>
std::string Logged(Work work) {
  testing::internal::CaptureStderr();
  StartLog(LogFormat::kText, "info");
  work();
  return testing::internal::GetCapturedStderr();
}

long NumLines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(FaultLog, OneLineForAFileHoweverManyStreamsMeetIt) {
  FaultLog log;
  const std::string text = Logged([&log] {
    for (int i = 0; i < 100; ++i) {
      log.Report({FileFault::Kind::kTruncated, "gpt2", "model.safetensors", "it ends early"});
    }
  });
  EXPECT_EQ(NumLines(text), 1) << text;
  EXPECT_THAT(text, HasSubstr("file broke while it was served model=gpt2 file=model.safetensors "
                              "kind=truncated error=\"it ends early\""));
}

TEST(FaultLog, FewLinesForManyFiles) {
  FaultLog log;
  const std::string text = Logged([&log] {
    for (int i = 0; i < 1000; ++i) {
      log.Report({FileFault::Kind::kIoError, absl::StrCat("m", i), "f", "Input/output error"});
    }
  });
  EXPECT_GT(NumLines(text), 5);
  EXPECT_LT(NumLines(text), 50);
}

}  // namespace
}  // namespace tensord
