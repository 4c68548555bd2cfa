#include "server/describe_call.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "src/escape.h"
#include "tensord/slice.h"

namespace tensord {
namespace {

// Records outlive requests, of which each may be some MiB.
std::string Cut(absl::string_view text) { return std::string(text.substr(0, kMaxShownBytes)); }

// The slice as text, also where it came as dims.
template <typename Request>
std::string SliceOf(const Request& request) {
  if (!request.has_dims()) return Cut(request.slice());
  // Longer lists would cost more to write down than to read.
  constexpr int kMaxDims = 16;
  constexpr size_t kMaxDimsBytes = 1024;
  if (request.dims().dims_size() > kMaxDims || request.dims().ByteSizeLong() > kMaxDimsBytes) {
    return absl::StrCat(request.dims().dims_size(), " dims");
  }
  const auto slice = SliceFromProto(request.dims());
  return slice.ok() ? Cut(slice->ToString()) : "";
}

std::string SliceOf(const IndexView& index) {
  if (index.kind != IndexView::Kind::kDims) return Cut(index.bytes);
  v1::GetSliceRequest request;
  request.mutable_dims()->ParseFromArray(index.bytes.data(), static_cast<int>(index.bytes.size()));
  return SliceOf(request);
}

}  // namespace

void Describe(const v1::ListModelsRequest& /*request*/, CallRecord& /*record*/) {}

void Describe(const v1::ListTensorsRequest& request, CallRecord& record) {
  record.model = Cut(request.model());
}

void Describe(const v1::GetMetadataRequest& request, CallRecord& record) {
  record.model = Cut(request.model());
  record.tensor = Cut(request.tensor());
}

void Describe(const v1::PeekTensorRequest& request, CallRecord& record) {
  record.model = Cut(request.model());
  record.tensor = Cut(request.tensor());
  record.slice = SliceOf(request);
}

void Describe(const v1::GetTensorRequest& request, CallRecord& record) {
  record.model = Cut(request.model());
  record.tensor = Cut(request.tensor());
}

void Describe(const v1::GetSliceRequest& request, CallRecord& record) {
  record.model = Cut(request.model());
  record.tensor = Cut(request.tensor());
  record.slice = SliceOf(request);
}

void Describe(const BatchRequestView& request, CallRecord& record) {
  record.model = Cut(request.model());
  BatchRequestView::Selections selections = request.selections();
  const std::optional<SelectionView> first = selections.Next();
  if (!first || selections.Next()) return;  // No line has room for many.
  record.tensor = Cut(first->name);
  record.slice = SliceOf(first->index);
}

void Describe(const v1::ReadFileRequest& request, CallRecord& record) {
  record.model = Cut(request.model());
  record.tensor = Cut(request.file());
}

void SetModel(const Model& model, CallRecord& record) {
  record.model = Cut(model.id());
  record.version = model.version();
  record.model_found = true;
}

}  // namespace tensord
