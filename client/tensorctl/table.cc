#include "client/tensorctl/table.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "src/utf8.h"

namespace tensord::ctl {
namespace {

struct CodePoints {
  uint32_t first;
  uint32_t last;
};

// Combining marks, zero-width spaces and joiners, variation selectors.
constexpr CodePoints kZeroWidth[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},  {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d},  {0x2060, 0x2064}, {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};

// The blocks that Unicode's EastAsianWidth calls W or F, and emoji.
constexpr CodePoints kWide[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

bool Contains(absl::Span<const CodePoints> ranges, uint32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const CodePoints& range) { return c >= range.first && c <= range.last; });
}

size_t WidthOf(uint32_t c) {
  if (c < 0x0300) return 1;
  if (Contains(kZeroWidth, c)) return 0;
  return Contains(kWide, c) ? 2 : 1;
}

}  // namespace

size_t DisplayWidth(absl::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text);
    width += c.size_bytes == 0 ? 1 : WidthOf(c.code_point);
    text.remove_prefix(std::max<size_t>(c.size_bytes, 1));
  }
  return width;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(DisplayWidth(column.header));
}

void Table::AddRow(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    widths_[i] = std::max(widths_[i], DisplayWidth(cells[i]));
  }
  rows_.push_back(std::move(cells));
}

std::string Table::Render(bool bold) const {
  std::vector<std::string> headers;
  for (const Column& column : columns_) headers.push_back(column.header);
  const std::string header = RenderRow(headers);
  std::string out = bold ? absl::StrCat("\x1b[1m", header, "\x1b[0m\n") : header + "\n";
  for (const auto& row : rows_) absl::StrAppend(&out, RenderRow(row), "\n");
  return out;
}

std::string Table::RenderRow(const std::vector<std::string>& cells) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths_[i] - DisplayWidth(cells[i]), ' ');
    if (i > 0) line += "  ";
    columns_[i].align == Align::kRight ? absl::StrAppend(&line, padding, cells[i])
                                       : absl::StrAppend(&line, cells[i], padding);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace tensord::ctl
