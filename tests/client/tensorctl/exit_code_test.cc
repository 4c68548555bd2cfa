#include "client/tensorctl/exit_code.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/error.h"
#include "src/slice_plan.h"

namespace tensord::ctl {
namespace {

TEST(ExitCode, FollowsTheError) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(UsageError("x")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("x")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeOf(absl::DeadlineExceededError("x")), ExitCode::kTimeout);
  EXPECT_EQ(ExitCodeOf(MakeError(ErrorReason::kModelNotFound, "x")), ExitCode::kFailed);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("x")), ExitCode::kFailed);
}

TEST(ErrorText, NamesTheReason) {
  EXPECT_EQ(ErrorText(MakeError(ErrorReason::kTensorNotFound, "tensor \"x\" not in \"gpt2\"")),
            "TENSOR_NOT_FOUND: tensor \"x\" not in \"gpt2\"");
}

TEST(ErrorText, NamesTheCodeWhereThereIsNoReason) {
  EXPECT_EQ(ErrorText(absl::UnavailableError("no route")), "UNAVAILABLE: no route");
}

TEST(ErrorText, LeavesAUsageErrorPlain) { EXPECT_EQ(ErrorText(UsageError("say -o")), "say -o"); }

TEST(ErrorText, PrintsNoControlByteThatAServerSent) {
  EXPECT_EQ(ErrorText(absl::InternalError("a\x1b[31m\nb\xff")), "INTERNAL: a\\x1b[31m\\nb\\xff");
}

TEST(ErrorText, EscapesWhatIsEscapedAlreadyOnlyOnce) {
  EXPECT_EQ(ErrorText(absl::InternalError("a\\x1b \\")), "INTERNAL: a\\x1b \\");
}

TEST(ErrorText, SpeaksOfShardsInWordsOfTheCommandLine) {
  const Slice slice{{Shard{0, 3}}, {}};
  const absl::Status status = SlicePlan::Create(Dtype::kU8, {4}, slice).status();
  EXPECT_THAT(ErrorText(status), testing::HasSubstr("add ,multiple=M or ,padded=P or ,uneven to"));
}

}  // namespace
}  // namespace tensord::ctl
