// Standard output and error: what a command may assume of them.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/tensorctl/table.h"

namespace tensord::ctl {

// Key order as written, so that people can read it too.
using Json = nlohmann::ordered_json;

// Not thread-safe. Nothing is buffered: a failed write (a full disk, a closed output) fails the
// command.
class Console {
 public:
  // `json`: the user asked for JSON.
  explicit Console(bool json);

  bool json() const { return json_; }
  bool output_is_terminal() const { return output_is_terminal_; }

  // Whether a progress line on standard error reaches a person.
  bool error_is_terminal() const { return error_is_terminal_; }

  absl::Status Print(absl::string_view text) const;

  // One line. Text that is not UTF-8 is replaced by U+FFFD, control characters are escaped.
  absl::Status PrintJson(const Json& object) const;

  // One array, an element a line.
  absl::Status PrintJsonArray(const std::vector<Json>& elements) const;

  // Bold headers on a terminal, unless NO_COLOR is set.
  absl::Status PrintTable(const Table& table) const;

  // To standard error, as good as it goes.
  void Warn(absl::string_view text) const;

 private:
  bool json_;
  bool output_is_terminal_;
  bool error_is_terminal_;
  bool bold_;
};

}  // namespace tensord::ctl
