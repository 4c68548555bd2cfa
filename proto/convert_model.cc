#include <string>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "src/escape.h"
#include "src/utf8.h"

namespace tensord {
namespace {

static_assert(static_cast<int>(ModelState::kReady) == v1::MODEL_STATE_READY);
static_assert(static_cast<int>(ModelState::kIncomplete) == v1::MODEL_STATE_INCOMPLETE);
static_assert(static_cast<int>(ModelState::kInvalid) == v1::MODEL_STATE_INVALID);

// 100 problems of 5 KiB keep a model below half of a page.
constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxProblemFileBytes = 4096;
constexpr size_t kMaxProblemMessageBytes = 1024;

// Protobuf refuses to send or read a string that is not UTF-8, and one would break the listing.
std::string Text(absl::string_view text) {
  return IsValidUtf8(text) ? std::string(text) : Escape(text);
}

std::string Shortened(const std::string& valid, size_t max_bytes) {
  return std::string(Utf8Prefix(valid, max_bytes));
}

void AddProblems(const std::vector<Problem>& problems, v1::Model& model) {
  const bool all_fit = problems.size() <= kMaxProblems;
  const size_t num_told = all_fit ? problems.size() : kMaxProblems - 1;
  for (size_t i = 0; i < num_told; ++i) {
    const Problem& problem = problems[i];
    v1::Problem& result = *model.add_problems();
    result.set_file(Shortened(Escape(problem.file), kMaxProblemFileBytes));
    result.set_reason(static_cast<v1::ErrorReason>(problem.reason));
    result.set_variant(Text(problem.variant));
    result.set_message(Shortened(Text(problem.message), kMaxProblemMessageBytes));
  }
  if (all_fit) return;
  model.add_problems()->set_message(
      absl::StrCat("and ", problems.size() - num_told, " more problems"));
}

}  // namespace

v1::Model ModelToProto(const Model& model) {
  v1::Model result;
  result.set_id(model.id());
  result.set_short_name(model.short_name());
  result.set_version(model.version());
  result.set_state(static_cast<v1::ModelState>(model.state()));
  result.set_num_files(model.files().size());
  result.set_num_tensors(model.num_tensors());
  result.set_num_parameters(model.num_parameters());
  result.set_size_bytes(model.size_bytes());
  for (const DtypeUsage& usage : model.dtypes()) {
    v1::DtypeUsage& row = *result.add_dtypes();
    row.set_dtype(std::string(DtypeName(usage.dtype)));
    row.set_num_tensors(usage.num_tensors);
    row.set_num_parameters(usage.num_parameters);
    row.set_size_bytes(usage.size_bytes);
  }
  AddProblems(model.problems(), result);
  return result;
}

v1::TensorInfo TensorToProto(const Model& model, const Model::Tensor& tensor) {
  v1::TensorInfo result;
  result.set_name(tensor.name.data(), tensor.name.size());
  result.set_dtype(std::string(DtypeName(tensor.dtype)));
  result.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
  result.set_size_bytes(tensor.size_bytes);
  result.set_file(model.files()[tensor.file].name);
  result.set_offset_bytes(tensor.offset_bytes);
  return result;
}

}  // namespace tensord
