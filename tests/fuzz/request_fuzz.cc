// Any bytes as requests: the unary calls answer or refuse with a reason, in messages that gRPC
// carries, and the search for unknown fields ends. The first byte chooses the request.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "proto/convert.h"
#include "server/get_metadata.h"
#include "server/list_models.h"
#include "server/list_tensors.h"
#include "server/peek_tensor.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

const Catalog& Store() {
  static const TempDir* const dir = new TempDir();  // Lives as long as the process.
  static const std::shared_ptr<const Catalog> catalog = [] {
    WriteSafetensors(dir->Path("m/model.safetensors"),
                     {{"a", Dtype::kF32, {4, 5}, ""},
                      {"b", Dtype::kF4, {16, 9}, ""},
                      {"c.2", Dtype::kC64, {0, 3}, ""},
                      {"c.10", Dtype::kF6E2M3, {8}, ""}},
                     std::map<std::string, std::string>{{"k", "\u6f22\u6f22"}, {"l", ""}});
    WriteBytes(dir->Path("m/config.json"), "{}");
    WriteBytes(dir->Path("bad.safetensors"), "bad");
    return *Catalog::Load({{"", dir->path()}}, 1);
  }();
  return *catalog;
}

absl::StatusOr<v1::PeekTensorResponse> Peek(const CatalogView& catalog,
                                            const v1::PeekTensorRequest& request) {
  return PeekTensor(catalog, request);
}

void Expect(bool fact) {
  if (!fact) std::abort();
}

template <typename Request, typename Response>
void Call(absl::StatusOr<Response> (*function)(const CatalogView&, const Request&),
          const std::string& bytes) {
  Request request;
  if (!request.ParseFromString(bytes)) return;
  const absl::StatusOr<Response> response = function(Store(), request);
  if (response.ok()) {
    Expect(response->ByteSizeLong() < size_t{4} << 20);
    Expect(Response().ParseFromString(response->SerializeAsString()));
  } else {
    Expect(ReasonOf(response.status()) != ErrorReason::kUnspecified);
  }
}

template <typename Request>
void Check(const std::string& bytes) {
  Request request;
  if (!request.ParseFromString(bytes)) return;
  const absl::Status status = CheckNoUnknownFields(request);
  Expect(status.ok() || ReasonOf(status) == ErrorReason::kUnknownField ||
         ReasonOf(status) == ErrorReason::kBadRequest);
}

}  // namespace
}  // namespace tensord

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      tensord::Call(tensord::ListModels, bytes);
      break;
    case 1:
      tensord::Call(tensord::ListTensors, bytes);
      break;
    case 2:
      tensord::Call(tensord::GetMetadata, bytes);
      break;
    case 3:
      tensord::Call(tensord::Peek, bytes);
      break;
    case 4:
      tensord::Check<tensord::v1::GetSliceRequest>(bytes);
      break;
    default:
      tensord::Check<tensord::v1::GetTensorsRequest>(bytes);
  }
  return 0;
}
