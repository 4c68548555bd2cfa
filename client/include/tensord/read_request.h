// One thing to read in a batch, and where to put it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "tensord/destination.h"
#include "tensord/dtype.h"
#include "tensord/shape.h"
#include "tensord/slice.h"

namespace tensord {

// Part of a tensor's, result's or file's bytes. offset + length is at most the size.
struct ByteRange {
  uint64_t offset = 0;
  std::optional<uint64_t> length;  // Absent: up to the end.
};

// Names what to read. `pattern` is for Client::Plan, which turns one into its matches.
struct Selection {
  std::string tensor;   // Its name; empty together with a pattern.
  std::string pattern;  // A glob: `*` any text, `?` a character, `{a,b}` either, `{0..7}` a number.
  Slice slice;          // Of each tensor. Empty: all of it.
};

// One result of a plan: what a selection stands for, and how large it is.
struct PlannedRead {
  std::string tensor;
  Dtype dtype = Dtype::kU8;
  Shape shape;              // Of the slice's result.
  uint64_t size_bytes = 0;  // Of the slice's result: what a dense destination needs.
  size_t selection = 0;     // Into the selections asked for.
};

struct ReadRequest {
  std::string tensor;
  Slice slice;                     // Empty: the whole tensor.
  std::optional<ByteRange> range;  // Of the result's bytes, into a dense destination. Absent: all.
  Destination destination;
};

}  // namespace tensord
