#include "client/tensorctl/tensor_argument.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

absl::Status BadShard(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("--shard ", Quote(text), ": ", why,
                   "; wanted DIM:I/N with 0 <= I < N, e.g. 0:3/8, then perhaps ,multiple=M "
                   ",padded=P ,uneven"));
}

absl::Status ParseOption(absl::string_view text, absl::string_view option, Shard& shard) {
  absl::string_view value = option;
  if (option == "uneven") {
    shard.allow_uneven = true;
  } else if (absl::ConsumePrefix(&value, "multiple=")) {
    if (!absl::SimpleAtoi(value, &shard.multiple) || shard.multiple == 0) {
      return BadShard(text, "the multiple is not a positive number");
    }
  } else if (absl::ConsumePrefix(&value, "padded=")) {
    if (!absl::SimpleAtoi(value, &shard.padded_size) || shard.padded_size == 0) {
      return BadShard(text, "the padded size is not a positive number");
    }
  } else {
    return BadShard(text, absl::StrCat("unknown option ", Quote(option)));
  }
  return absl::OkStatus();
}

// One entry per dimension, the ellipsis spelled out.
absl::StatusOr<std::vector<Dim>> Expand(const Slice& slice, size_t rank) {
  if (slice.dims.size() > rank) {
    return absl::InvalidArgumentError(absl::StrCat("the slice ", slice.ToString(), " has ",
                                                   slice.dims.size(),
                                                   " indices, but the tensor has rank ", rank));
  }
  std::vector<Dim> dims = slice.dims;
  const size_t missing = rank - dims.size();
  const size_t where = slice.ellipsis.value_or(dims.size());
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(where), missing, Dim(DimRange{}));
  return dims;
}

bool IsWhole(const Dim& dim) {
  const auto* range = std::get_if<DimRange>(&dim);
  return range != nullptr && !range->start && !range->stop && !range->step;
}

}  // namespace

std::optional<SplitArgument> SplitTensorArgument(absl::string_view text) {
  const size_t bracket = text.rfind('[');
  if (bracket == absl::string_view::npos) return std::nullopt;
  return SplitArgument{text.substr(0, bracket), text.substr(bracket)};
}

std::string LiteralPattern(absl::string_view name) {
  std::string pattern;
  for (const char c : name) {
    if (absl::StrContains("*?{},\\", c)) pattern.push_back('\\');
    pattern.push_back(c);
  }
  return pattern;
}

absl::StatusOr<ShardArgument> ParseShardArgument(absl::string_view text) {
  const std::vector<absl::string_view> options = absl::StrSplit(text, ',');
  const std::vector<absl::string_view> parts = absl::StrSplit(options[0], ':');
  if (parts.size() != 2) return BadShard(text, "no DIM:I/N");
  const std::vector<absl::string_view> rank = absl::StrSplit(parts[1], '/');
  ShardArgument argument;
  if (!absl::SimpleAtoi(parts[0], &argument.dimension)) {
    return BadShard(text, "the dimension is not a number");
  }
  if (rank.size() != 2 || !absl::SimpleAtoi(rank[0], &argument.shard.index) ||
      !absl::SimpleAtoi(rank[1], &argument.shard.count)) {
    return BadShard(text, "no I/N of two numbers behind the colon");
  }
  if (argument.shard.index >= argument.shard.count) {
    return BadShard(text, absl::StrCat("there is no part ", argument.shard.index, " of ",
                                       argument.shard.count));
  }
  for (size_t i = 1; i < options.size(); ++i) {
    TENSORD_RETURN_IF_ERROR(ParseOption(text, options[i], argument.shard));
  }
  return argument;
}

absl::StatusOr<Slice> ApplyShards(const Slice& slice, absl::Span<const ShardArgument> shards,
                                  size_t rank) {
  if (shards.empty()) return slice;
  Slice result;
  TENSORD_ASSIGN_OR_RETURN(result.dims, Expand(slice, rank));
  const auto extent = static_cast<int64_t>(rank);
  for (const ShardArgument& argument : shards) {
    const int64_t asked = argument.dimension;
    if (asked < -extent || asked >= extent) {
      return absl::InvalidArgumentError(
          absl::StrCat("--shard cuts dimension ", asked, ", but the tensor has rank ", rank));
    }
    Dim& dim = result.dims[static_cast<size_t>(asked < 0 ? asked + extent : asked)];
    if (!IsWhole(dim)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--shard cuts dimension ", asked,
                       ", which the slice or another --shard cuts too; leave it whole there"));
    }
    dim = argument.shard;
  }
  return result;
}

}  // namespace tensord::ctl
