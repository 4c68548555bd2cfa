#include "server/access_log.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/log.h"

namespace tensord {
namespace {

using testing::HasSubstr;

// No two with the same request id, in all tests: a line is not logged twice within a second.
void EndCalls(AccessLog& log, int num_calls, const absl::Status& status) {
  static int num_ended = 0;
  for (int i = 0; i < num_calls; ++i) {
    CallRecord record;
    record.method = CallMethod::kGetSlice;
    record.request_id = "r" + std::to_string(num_ended++);
    record.began = std::chrono::steady_clock::now();
    log.CallEnded(record, status);
  }
}

// What `num_calls` calls that end with `status` write, each with a request id of its own.
std::string Logged(AccessLogMode mode, int num_calls, const absl::Status& status) {
  testing::internal::CaptureStderr();
  StartLog(LogFormat::kJson, "info");
  AccessLog log(mode);
  EndCalls(log, num_calls, status);
  return testing::internal::GetCapturedStderr();
}

int64_t NumLines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(AccessLog, EachCallHasALineWhereThatIsAskedFor) {
  EXPECT_EQ(NumLines(Logged(AccessLogMode::kOn, 2000, absl::OkStatus())), 2000);
  EXPECT_EQ(NumLines(Logged(AccessLogMode::kOn, 2000, absl::NotFoundError("x"))), 2000);
}

TEST(AccessLog, ByDefaultOnlyThoseThatFailHaveOne) {
  EXPECT_EQ(Logged(AccessLogMode::kSlow, 10, absl::OkStatus()), "");
  EXPECT_THAT(Logged(AccessLogMode::kSlow, 1, absl::NotFoundError("x")),
              HasSubstr("\"code\":\"NOT_FOUND\""));
  EXPECT_EQ(Logged(AccessLogMode::kOff, 10, absl::NotFoundError("x")), "");
}

TEST(AccessLog, AFloodOfFailuresHasFewerLinesAndSaysSo) {
  constexpr int kNumCalls = 200'000;
  testing::internal::CaptureStderr();
  StartLog(LogFormat::kJson, "info");
  AccessLog log(AccessLogMode::kSlow);
  EndCalls(log, kNumCalls, absl::NotFoundError("x"));
  std::this_thread::sleep_for(std::chrono::duration<double>(1 / AccessLog::kLinesPerSecond));
  EndCalls(log, 1, absl::NotFoundError("x"));  // There is a line for it again.
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_GE(NumLines(text), static_cast<int64_t>(AccessLog::kBurstLines));
  EXPECT_LT(NumLines(text), kNumCalls / 2);
  EXPECT_THAT(text, HasSubstr("\"calls_without_line\":"));
}

}  // namespace
}  // namespace tensord
