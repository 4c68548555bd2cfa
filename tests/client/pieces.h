// Messages cut into pieces, as a network would.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/piece_cursor.h"

namespace tensord {

// Owns a message and the pieces it is cut into.
class Pieces {
 public:
  // Pieces of `piece_bytes`, with an empty one in front of each; 0: one piece.
  Pieces(std::string message, size_t piece_bytes) : message_(std::move(message)) {
    const size_t step = piece_bytes == 0 ? std::max<size_t>(message_.size(), 1) : piece_bytes;
    for (size_t i = 0; i < message_.size(); i += step) {
      pieces_.emplace_back();
      pieces_.push_back(absl::string_view(message_).substr(i, step));
    }
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  PieceCursor cursor() const { return PieceCursor(pieces_); }

 private:
  std::string message_;
  std::vector<absl::string_view> pieces_;
};

}  // namespace tensord
