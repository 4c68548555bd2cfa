#include "client/tensorctl/value_grid.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "tensord/dtype.h"

namespace tensord::ctl {
namespace {

std::string FloatText(double value) { return absl::StrFormat("%.6g", value); }

Json FloatJson(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return value;
}

std::string ComplexText(double re, double im) {
  return absl::StrFormat("%.6g%s%.6gj", re, std::signbit(im) ? "" : "+", im);
}

// "[0, 3, :, :]\n" of the matrix with this number.
std::string MatrixTitle(const Shape& shape, size_t matrix) {
  std::string indices = ":, :";
  for (size_t d = shape.size() - 2; d-- > 0;) {
    indices = absl::StrCat(matrix % shape[d], ", ", indices);
    matrix /= shape[d];
  }
  return absl::StrCat("[", indices, "]\n");
}

std::string Lines(absl::Span<const std::string> values, size_t columns) {
  size_t width = 0;
  for (const std::string& value : values) width = std::max(width, value.size());
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    absl::StrAppend(&out, i % columns == 0 ? "" : "  ", std::string(width - values[i].size(), ' '),
                    values[i], (i + 1) % columns == 0 || i + 1 == values.size() ? "\n" : "");
  }
  return out;
}

}  // namespace

std::vector<std::string> ValueTexts(const PeekResult& result) {
  std::vector<std::string> texts;
  if (const auto* doubles = std::get_if<std::vector<double>>(&result.values)) {
    const bool is_complex = result.tensor.dtype == Dtype::kC64;
    for (size_t i = 0; i + (is_complex ? 1 : 0) < doubles->size(); i += is_complex ? 2 : 1) {
      texts.push_back(is_complex ? ComplexText((*doubles)[i], (*doubles)[i + 1])
                                 : FloatText((*doubles)[i]));
    }
  } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&result.values)) {
    for (const int64_t value : *ints) texts.push_back(absl::StrCat(value));
  } else {
    for (const uint64_t value : std::get<std::vector<uint64_t>>(result.values)) {
      const bool is_bool = result.tensor.dtype == Dtype::kBool && value <= 1;
      texts.push_back(is_bool ? (value == 1 ? "true" : "false") : absl::StrCat(value));
    }
  }
  return texts;
}

Json ValuesJson(const PeekResult& result) {
  const auto* doubles = std::get_if<std::vector<double>>(&result.values);
  if (doubles == nullptr) {
    const auto* ints = std::get_if<std::vector<int64_t>>(&result.values);
    return ints != nullptr ? Json(*ints) : Json(std::get<std::vector<uint64_t>>(result.values));
  }
  Json values = Json::array();
  const bool is_complex = result.tensor.dtype == Dtype::kC64;
  for (size_t i = 0; i + (is_complex ? 1 : 0) < doubles->size(); i += is_complex ? 2 : 1) {
    values.push_back(is_complex
                         ? Json::array({FloatJson((*doubles)[i]), FloatJson((*doubles)[i + 1])})
                         : FloatJson((*doubles)[i]));
  }
  return values;
}

std::string ValueGrid(const PeekResult& result) {
  const std::vector<std::string> texts = ValueTexts(result);
  const Shape& shape = result.shape;
  if (texts.empty()) return "(no values)\n";
  const size_t columns = shape.empty() ? 1 : std::max<size_t>(shape.back(), 1);
  if (shape.size() <= 2) return Lines(texts, columns);
  const size_t matrix_size = std::max<size_t>(columns * shape[shape.size() - 2], 1);
  std::string out;
  for (size_t begin = 0; begin < texts.size(); begin += matrix_size) {
    absl::StrAppend(&out, MatrixTitle(shape, begin / matrix_size),
                    Lines(absl::MakeConstSpan(texts).subspan(begin, matrix_size), columns));
  }
  return out;
}

}  // namespace tensord::ctl
