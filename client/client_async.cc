// The callback forms: the blocking ones on a thread of the client, their arguments copied.
#include <utility>

#include "client/batch_calls.h"
#include "client/catalog_calls.h"
#include "client/client_impl.h"
#include "client/file_call.h"
#include "client/metadata_call.h"
#include "client/tensor_calls.h"
#include "tensord/client.h"

namespace tensord {

void Client::ListModelsAsync(absl::string_view filter, const CallOptions& options,
                             Callback<std::vector<ModelInfo>> done) const {
  impl_->Start(
      options,
      [filter = std::string(filter)](const Connections& on, const Call& call) {
        return tensord::ListModels(on.Next(), call, filter);
      },
      std::move(done));
}

void Client::ListTensorsAsync(absl::string_view model, const TensorFilter& filter,
                              const CallOptions& options, Callback<TensorList> done) const {
  impl_->Start(
      options,
      [model = std::string(model), filter](const Connections& on, const Call& call) {
        return tensord::ListTensors(on.Next(), call, model, filter);
      },
      std::move(done));
}

void Client::GetMetadataAsync(absl::string_view model, const MetadataOptions& metadata,
                              const CallOptions& options, Callback<ModelInfo> done) const {
  impl_->Start(
      options,
      [model = std::string(model), metadata](const Connections& on, const Call& call) {
        return tensord::GetMetadata(on.Next(), call, model, metadata);
      },
      std::move(done));
}

void Client::GetTensorInfoAsync(absl::string_view model, absl::string_view tensor,
                                const CallOptions& options, Callback<TensorInfo> done) const {
  impl_->Start(
      options,
      [model = std::string(model), tensor = std::string(tensor)](const Connections& on,
                                                                 const Call& call) {
        return tensord::GetTensorInfo(on.Next(), call, model, tensor);
      },
      std::move(done));
}

void Client::PeekTensorAsync(absl::string_view model, const PeekRequest& request,
                             const CallOptions& options, Callback<PeekResult> done) const {
  impl_->Start(
      options,
      [model = std::string(model), request](const Connections& on, const Call& call) {
        return tensord::PeekTensor(on.Next(), call, model, request);
      },
      std::move(done));
}

void Client::PlanAsync(absl::string_view model, std::vector<Selection> selections,
                       const CallOptions& options, Callback<std::vector<PlannedRead>> done) const {
  impl_->Start(
      options,
      [model = std::string(model), selections = std::move(selections)](const Connections& on,
                                                                       const Call& call) {
        return tensord::Plan(on.Next(), call, model, selections);
      },
      std::move(done));
}

void Client::GetTensorAsync(absl::string_view model, absl::string_view tensor,
                            const CallOptions& options, Callback<TensorData> done) const {
  GetSliceAsync(model, tensor, Slice(), options, std::move(done));
}

void Client::GetSliceAsync(absl::string_view model, absl::string_view tensor, const Slice& slice,
                           const CallOptions& options, Callback<TensorData> done) const {
  impl_->Start(
      options,
      [read = TensorRead{std::string(model), std::string(tensor), slice}](
          const Connections& on, const Call& call) { return tensord::GetSlice(on, call, read); },
      std::move(done));
}

void Client::ReadSliceAsync(absl::string_view model, absl::string_view tensor, const Slice& slice,
                            const Destination& destination, const CallOptions& options,
                            DoneCallback done) const {
  impl_->Start(
      options,
      [read = TensorRead{std::string(model), std::string(tensor), slice}, destination](
          const Connections& on, const Call& call) {
        return tensord::ReadSlice(on, call, read, destination);
      },
      std::move(done));
}

void Client::ReadManyAsync(absl::string_view model, std::vector<ReadRequest> requests,
                           ProgressCallback progress, const CallOptions& options,
                           Callback<ReadReport> done) const {
  impl_->Start(
      options,
      [model = std::string(model), requests = std::move(requests), progress = std::move(progress)](
          const Connections& on, const Call& call) {
        return tensord::ReadMany(on, call, model, requests, progress);
      },
      std::move(done));
}

void Client::ReadFileAsync(absl::string_view model, absl::string_view file, const ByteRange& range,
                           FileSink sink, const CallOptions& options,
                           Callback<FileStreamInfo> done) const {
  impl_->Start(
      options,
      [model = std::string(model), file = std::string(file), range, sink = std::move(sink)](
          const Connections& on, const Call& call) {
        return tensord::ReadFile(on.Next(), call, model, file, range, sink);
      },
      std::move(done));
}

}  // namespace tensord
