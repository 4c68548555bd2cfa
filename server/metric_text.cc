#include "server/metric_text.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/escape.h"

namespace tensord {
namespace {

// Whole numbers up to 2^53 as such, so that people can read counters of bytes.
std::string Number(double value) {
  constexpr double kExact = 9007199254740992.0;
  if (std::floor(value) == value && std::fabs(value) <= kExact) {
    return absl::StrFormat("%.0f", value);
  }
  return absl::StrFormat("%.15g", value);
}

// Escape has left valid UTF-8 without control characters; what it wrote for them has backslashes,
// of which Prometheus knows only few.
std::string LabelValue(absl::string_view value) {
  std::string text;
  for (const char c : Escape(value)) {
    if (c == '"' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return text;
}

}  // namespace

void MetricText::Family(absl::string_view name, absl::string_view type, absl::string_view help) {
  family_ = std::string(name);
  absl::StrAppend(&text_, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

void MetricText::Sample(std::initializer_list<MetricLabel> labels, double value,
                        absl::string_view suffix) {
  absl::StrAppend(&text_, family_, suffix);
  char separator = '{';
  for (const auto& [name, text] : labels) {
    absl::StrAppend(&text_, absl::string_view(&separator, 1), name, "=\"", LabelValue(text), "\"");
    separator = ',';
  }
  absl::StrAppend(&text_, separator == ',' ? "} " : " ", Number(value), "\n");
}

void MetricText::Gauge(absl::string_view name, absl::string_view help, double value) {
  Family(name, "gauge", help);
  Sample({}, value);
}

void MetricText::Counter(absl::string_view name, absl::string_view help, double value) {
  Family(name, "counter", help);
  Sample({}, value);
}

}  // namespace tensord
