// Columns of text under headers, aligned by the width that characters take on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace tensord::ctl {

// Columns that `text` takes on a terminal: East Asian wide characters and emoji count 2, combining
// marks and joiners 0. An approximation of wcwidth that needs no locale. `text` is escaped
// (src/escape.h), so it holds no control character.
size_t DisplayWidth(absl::string_view text);

enum class Align { kLeft, kRight };

class Table {
 public:
  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);

  // One cell per column, already escaped.
  void AddRow(std::vector<std::string> cells);

  bool empty() const { return rows_.empty(); }

  // Two spaces between columns, none at the end of a line. `bold` marks the headers with terminal
  // sequences.
  std::string Render(bool bold) const;

 private:
  std::string RenderRow(const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> widths_;
};

}  // namespace tensord::ctl
