// Reads models from a tensord server.
//
//   auto client = tensord::Client::Connect("unix:///run/tensord/tensord.sock");
//   auto weight = client->GetTensor("gpt2", "wte.weight");
//   auto rows = tensord::Slice::Parse("[0:128]");
//   auto status = client->ReadSlice("gpt2", "wte.weight", *rows, destination);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tensord/client_options.h"
#include "tensord/destination.h"
#include "tensord/error_reason.h"
#include "tensord/file_sink.h"
#include "tensord/model_info.h"
#include "tensord/peek_result.h"
#include "tensord/read_report.h"
#include "tensord/read_request.h"
#include "tensord/slice.h"
#include "tensord/tensor_data.h"
#include "tensord/tensor_info.h"
#include "tensord/tensor_list.h"

namespace tensord {

// How long values of `__metadata__` may be in an answer, and which.
struct MetadataOptions {
  std::vector<std::string> keys;  // Empty: all.
  uint64_t max_value_bytes =
      uint64_t{64} * 1024;  // Longer ones are cut at a character. No upper limit.
};

// One connection to one server. Thread-safe: any number of calls at once, on any threads. Moves
// only. A server that restarts is found again by the next call.
//
// Blocking calls run wholly on the calling thread. Each `...Async` twin returns at once and later
// runs `done` exactly once, on a thread of the client; what the arguments borrow (destinations)
// must live until then. `done` may start further calls, but must not destroy the client.
//
// Errors. The server's own carry a reason (`ReasonOf`), listed at each RPC in tensord.proto: for
// one, NOT_FOUND for an unknown model or tensor, with the closest names in the message. Besides,
// every call may end with
//   UNAVAILABLE        no connection, or it broke; names the address,
//   DEADLINE_EXCEEDED  CallOptions::deadline,
//   CANCELLED          CallOptions::cancellation,
//   DATA_LOSS          the server contradicts itself (gap, overlap, wrong size, wrong checksum), or
//   a
//                      file changed while it was read.
// Data counts only when the call has returned OK.
class Client {
 public:
  template <typename T>
  using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  using DoneCallback = absl::AnyInvocable<void(absl::Status)>;

  // Touches no network: the first call connects. `address` is "host:port", "dns:///host:port",
  // "unix:/path" or "unix:///path". INVALID_ARGUMENT for any other form or senseless options.
  static absl::StatusOr<Client> Connect(absl::string_view address,
                                        const ClientOptions& options = {});

  // Cancels asynchronous calls and waits until their callbacks have run. Blocking calls must have
  // returned.
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // ---- What is there ----

  // All models whose id matches the glob `filter`, in order of id. Empty: all.
  absl::StatusOr<std::vector<ModelInfo>> ListModels(absl::string_view filter = "",
                                                    const CallOptions& call = {}) const;
  void ListModelsAsync(absl::string_view filter, const CallOptions& call,
                       Callback<std::vector<ModelInfo>> done) const;

  // All tensors that match `filter`, of one version of the model; VERSION_CHANGED when it is
  // replaced between two pages.
  absl::StatusOr<TensorList> ListTensors(absl::string_view model, const TensorFilter& filter = {},
                                         const CallOptions& call = {}) const;
  void ListTensorsAsync(absl::string_view model, const TensorFilter& filter,
                        const CallOptions& call, Callback<TensorList> done) const;

  // The model with its files, their metadata and its side files.
  absl::StatusOr<ModelInfo> GetMetadata(absl::string_view model,
                                        const MetadataOptions& metadata = {},
                                        const CallOptions& call = {}) const;
  void GetMetadataAsync(absl::string_view model, const MetadataOptions& metadata,
                        const CallOptions& call, Callback<ModelInfo> done) const;

  // One tensor without its data.
  absl::StatusOr<TensorInfo> GetTensorInfo(absl::string_view model, absl::string_view tensor,
                                           const CallOptions& call = {}) const;
  void GetTensorInfoAsync(absl::string_view model, absl::string_view tensor,
                          const CallOptions& call, Callback<TensorInfo> done) const;

  // Some values as numbers.
  absl::StatusOr<PeekResult> PeekTensor(absl::string_view model, const PeekRequest& request,
                                        const CallOptions& call = {}) const;
  void PeekTensorAsync(absl::string_view model, const PeekRequest& request, const CallOptions& call,
                       Callback<PeekResult> done) const;

  // What `selections` stand for and how large each result is, patterns expanded in natural order of
  // names; for allocating before ReadMany. A pattern without a match is TENSOR_NOT_FOUND.
  absl::StatusOr<std::vector<PlannedRead>> Plan(absl::string_view model,
                                                absl::Span<const Selection> selections,
                                                const CallOptions& call = {}) const;
  void PlanAsync(absl::string_view model, std::vector<Selection> selections,
                 const CallOptions& call, Callback<std::vector<PlannedRead>> done) const;

  // ---- Data into memory of its own ----

  absl::StatusOr<TensorData> GetTensor(absl::string_view model, absl::string_view tensor,
                                       const CallOptions& call = {}) const;
  void GetTensorAsync(absl::string_view model, absl::string_view tensor, const CallOptions& call,
                      Callback<TensorData> done) const;

  absl::StatusOr<TensorData> GetSlice(absl::string_view model, absl::string_view tensor,
                                      const Slice& slice, const CallOptions& call = {}) const;
  void GetSliceAsync(absl::string_view model, absl::string_view tensor, const Slice& slice,
                     const CallOptions& call, Callback<TensorData> done) const;

  // ---- Data into the caller's memory ----

  // An empty slice reads the whole tensor. INVALID_ARGUMENT, before anything is written, when the
  // destination has not the size of the result (the message names both) or the strides do not fit
  // its shape.
  absl::Status ReadSlice(absl::string_view model, absl::string_view tensor, const Slice& slice,
                         const Destination& destination, const CallOptions& call = {}) const;
  void ReadSliceAsync(absl::string_view model, absl::string_view tensor, const Slice& slice,
                      const Destination& destination, const CallOptions& call,
                      DoneCallback done) const;

  // Any number of requests, all of one version of the model, in as few streams as the server's
  // limit on requests allows. An unknown tensor, a bad slice or a destination that does not fit
  // (see ReadSlice) fails the whole call and names the request; a file that fails while it is read
  // fails only its own requests, in the report.
  absl::StatusOr<ReadReport> ReadMany(absl::string_view model,
                                      absl::Span<const ReadRequest> requests,
                                      const ProgressCallback& progress = nullptr,
                                      const CallOptions& call = {}) const;
  void ReadManyAsync(absl::string_view model, std::vector<ReadRequest> requests,
                     ProgressCallback progress, const CallOptions& call,
                     Callback<ReadReport> done) const;

  // The original bytes of one of the model's files or side files, a name out of ModelInfo.
  absl::StatusOr<FileStreamInfo> ReadFile(absl::string_view model, absl::string_view file,
                                          const ByteRange& range, const FileSink& sink,
                                          const CallOptions& call = {}) const;
  void ReadFileAsync(absl::string_view model, absl::string_view file, const ByteRange& range,
                     FileSink sink, const CallOptions& call, Callback<FileStreamInfo> done) const;

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tensord
