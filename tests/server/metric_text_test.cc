#include "server/metric_text.h"

#include "gtest/gtest.h"

namespace tensord {
namespace {

TEST(MetricText, SamplesFollowTheirFamily) {
  MetricText text;
  text.Family("a_total", "counter", "Of a.");
  text.Sample({{"method", "Get"}, {"code", "OK"}}, 3);
  text.Sample({}, 0.25, "_sum");
  text.Gauge("b", "Of b.", 1e15);
  EXPECT_EQ(text.text(),
            "# HELP a_total Of a.\n# TYPE a_total counter\n"
            "a_total{method=\"Get\",code=\"OK\"} 3\na_total_sum 0.25\n"
            "# HELP b Of b.\n# TYPE b gauge\nb 1000000000000000\n");
}

TEST(MetricText, LabelsMayHoldAnything) {
  MetricText text;
  text.Family("a", "gauge", "A.");
  text.Sample({{"model", "x\"y\\z\n\x1b\xff"}}, 1);
  // Prometheus knows \\, \" and \n only.
  EXPECT_EQ(text.text(),
            "# HELP a A.\n# TYPE a gauge\na{model=\"x\\\"y\\\\\\\\z\\\\n\\\\x1b\\\\xff\"} 1\n");
}

}  // namespace
}  // namespace tensord
