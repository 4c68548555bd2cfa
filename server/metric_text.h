// Numbers in Prometheus's text format.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tensord {

// A label and its value, which may hold any bytes.
using MetricLabel = std::pair<absl::string_view, absl::string_view>;

// Collects a page, one family after another. A value.
class MetricText {
 public:
  // Begins a family; samples follow. `type` is "counter", "gauge" or "histogram".
  void Family(absl::string_view name, absl::string_view type, absl::string_view help);

  // A sample of the family; `suffix` is "_bucket" and the like for histograms.
  void Sample(std::initializer_list<MetricLabel> labels, double value,
              absl::string_view suffix = "");

  // A family of one sample without labels.
  void Gauge(absl::string_view name, absl::string_view help, double value);
  void Counter(absl::string_view name, absl::string_view help, double value);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::string family_;
};

}  // namespace tensord
