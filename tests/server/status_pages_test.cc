#include "server/status_pages.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

using testing::HasSubstr;

TEST(StatusPages, FollowTheState) {
  ServingState state([](bool) {});
  const StatusPages pages(&state);
  EXPECT_EQ(pages.Answer("/livez").status, 200);
  EXPECT_EQ(pages.Answer("/startupz").status, 503);
  EXPECT_EQ(pages.Answer("/readyz").status, 503);
  EXPECT_EQ(pages.Answer("/readyz").body, "starting: the first scan is not done\n");
  state.SetReady();
  EXPECT_EQ(pages.Answer("/startupz").status, 200);
  EXPECT_EQ(pages.Answer("/readyz").status, 200);
  state.SetDraining();
  EXPECT_EQ(pages.Answer("/livez").status, 200);
  EXPECT_EQ(pages.Answer("/startupz").status, 200);
  EXPECT_EQ(pages.Answer("/readyz").status, 503);
  EXPECT_THAT(pages.Answer("/metrics").body, HasSubstr("tensord_draining 1\n"));
}

TEST(StatusPages, ThereAreNoOthers) {
  ServingState state([](bool) {});
  const StatusPages pages(&state);
  for (const char* path : {"/", "", "/livez/", "/metrics/x", "/healthz"}) {
    EXPECT_EQ(pages.Answer(path).status, 404) << path;
  }
}

TEST(StatusPages, MetricsHaveWhatWasAdded) {
  ServingState state([](bool) {});
  StatusPages pages(&state);
  pages.AddMetrics([](MetricText& text) { text.Gauge("mine", "Mine.", 7); });
  const HttpResponse response = pages.Answer("/metrics");
  EXPECT_THAT(response.content_type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(response.body, HasSubstr("\nmine 7\n"));
  EXPECT_THAT(response.body, HasSubstr("\ntensord_build_info{version=\""));
  EXPECT_THAT(response.body, HasSubstr("\nprocess_resident_memory_bytes "));
}

}  // namespace
}  // namespace tensord
