#include "server/fault_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tensord {
namespace {

using ::testing::HasSubstr;

TEST(FaultMetrics, EachKindHasItsCount) {
  FileFaults::Counts counts;
  counts.num_truncated = 1;
  counts.num_io_errors = 2;
  counts.num_changed = 3;
  counts.num_sigbus = 4;
  MetricText text;
  AppendFaultMetrics(counts, text);
  EXPECT_THAT(text.text(), HasSubstr("tensord_file_faults_total{kind=\"truncated\"} 1\n"));
  EXPECT_THAT(text.text(), HasSubstr("tensord_file_faults_total{kind=\"io_error\"} 2\n"));
  EXPECT_THAT(text.text(), HasSubstr("tensord_file_faults_total{kind=\"changed\"} 3\n"));
  EXPECT_THAT(text.text(), HasSubstr("tensord_sigbus_total 4\n"));
}

}  // namespace
}  // namespace tensord
