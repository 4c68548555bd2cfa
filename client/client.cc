#include "tensord/client.h"

#include <utility>

#include "client/batch_calls.h"
#include "client/catalog_calls.h"
#include "client/client_impl.h"
#include "client/file_call.h"
#include "client/metadata_call.h"
#include "client/tensor_calls.h"
#include "src/status_macros.h"

namespace tensord {

absl::StatusOr<Client> Client::Connect(absl::string_view address, const ClientOptions& options) {
  TENSORD_ASSIGN_OR_RETURN(auto connections, Connections::Create(address, options));
  return Client(std::make_unique<Impl>(std::move(connections)));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

absl::StatusOr<std::vector<ModelInfo>> Client::ListModels(absl::string_view filter,
                                                          const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::ListModels(on.Next(), call, std::string(filter));
  });
}

absl::StatusOr<TensorList> Client::ListTensors(absl::string_view model, const TensorFilter& filter,
                                               const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::ListTensors(on.Next(), call, std::string(model), filter);
  });
}

absl::StatusOr<ModelInfo> Client::GetMetadata(absl::string_view model,
                                              const MetadataOptions& metadata,
                                              const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::GetMetadata(on.Next(), call, std::string(model), metadata);
  });
}

absl::StatusOr<TensorInfo> Client::GetTensorInfo(absl::string_view model, absl::string_view tensor,
                                                 const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::GetTensorInfo(on.Next(), call, std::string(model), std::string(tensor));
  });
}

absl::StatusOr<PeekResult> Client::PeekTensor(absl::string_view model, const PeekRequest& request,
                                              const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::PeekTensor(on.Next(), call, std::string(model), request);
  });
}

absl::StatusOr<std::vector<PlannedRead>> Client::Plan(absl::string_view model,
                                                      absl::Span<const Selection> selections,
                                                      const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::Plan(on.Next(), call, std::string(model), selections);
  });
}

absl::StatusOr<TensorData> Client::GetTensor(absl::string_view model, absl::string_view tensor,
                                             const CallOptions& options) const {
  return GetSlice(model, tensor, Slice(), options);
}

absl::StatusOr<TensorData> Client::GetSlice(absl::string_view model, absl::string_view tensor,
                                            const Slice& slice, const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::GetSlice(on, call, {std::string(model), std::string(tensor), slice});
  });
}

absl::Status Client::ReadSlice(absl::string_view model, absl::string_view tensor,
                               const Slice& slice, const Destination& destination,
                               const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::ReadSlice(on, call, {std::string(model), std::string(tensor), slice},
                              destination);
  });
}

absl::StatusOr<ReadReport> Client::ReadMany(absl::string_view model,
                                            absl::Span<const ReadRequest> requests,
                                            const ProgressCallback& progress,
                                            const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::ReadMany(on, call, std::string(model), requests, progress);
  });
}

absl::StatusOr<FileStreamInfo> Client::ReadFile(absl::string_view model, absl::string_view file,
                                                const ByteRange& range, const FileSink& sink,
                                                const CallOptions& options) const {
  return impl_->Run(options, [&](const Connections& on, const Call& call) {
    return tensord::ReadFile(on.Next(), call, std::string(model), std::string(file), range, sink);
  });
}

}  // namespace tensord
