#include "src/error.h"

#include <gtest/gtest.h>

namespace tensord {
namespace {

TEST(Error, CarriesReasonCodeMessageAndDetails) {
  const absl::Status status =
      MakeError(ErrorReason::kFileInvalid, "bad file", {{"variant", "HeaderTooLarge"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "bad file");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileInvalid);
  EXPECT_EQ(ErrorDetails(status).at("variant"), "HeaderTooLarge");
}

TEST(Error, EveryReasonNameReadsBack) {
  for (int i = 0; i < kNumErrorReasons; ++i) {
    const auto reason = static_cast<ErrorReason>(i);
    EXPECT_EQ(ParseErrorReason(ErrorReasonName(reason)), reason) << ErrorReasonName(reason);
  }
  EXPECT_EQ(ParseErrorReason("NO_SUCH"), ErrorReason::kUnspecified);
}

TEST(Error, StatusesOfOthersHaveNoReason) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), ErrorReason::kUnspecified);
  EXPECT_EQ(ReasonOf(absl::InternalError("x")), ErrorReason::kUnspecified);
  EXPECT_TRUE(ErrorDetails(absl::InternalError("x")).empty());
}

TEST(Error, AnnotateKeepsReasonAndDetails) {
  const absl::Status status =
      Annotate(MakeError(ErrorReason::kBadSlice, "why", {{"position", "3"}}), "selection 7");
  EXPECT_EQ(status.message(), "selection 7: why");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadSlice);
  EXPECT_EQ(ErrorDetails(status).at("position"), "3");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
}

}  // namespace
}  // namespace tensord
