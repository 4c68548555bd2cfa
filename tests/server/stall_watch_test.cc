#include "server/stall_watch.h"

#include <gtest/gtest.h>

#include <future>

#include "src/error.h"

namespace tensord {
namespace {

using std::chrono::milliseconds;

TEST(StallWatch, EndsAStreamWhoseClientTakesNothing) {
  ActiveStreams streams;
  std::promise<absl::Status> ended;
  auto token = streams.Begin("a", [&](const absl::Status& status) { ended.set_value(status); });
  token->WaitsForClient();
  const StallWatch watch(&streams, milliseconds(5));
  const absl::Status status = ended.get_future().get();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kStalled);
  EXPECT_EQ(status.message(), "the client took nothing for 5 ms");
}

TEST(StallWatch, ZeroIsNever) {
  ActiveStreams streams;
  auto token = streams.Begin("a", [](const absl::Status&) { FAIL(); });
  token->WaitsForClient();
  const StallWatch watch(&streams, milliseconds(0));  // Has no thread that could.
}

}  // namespace
}  // namespace tensord
