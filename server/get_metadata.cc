#include "server/get_metadata.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/find_model.h"
#include "server/metadata_pager.h"
#include "server/page_budget.h"
#include "server/page_token.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using Request = v1::GetMetadataRequest;
using Response = v1::GetMetadataResponse;

absl::StatusOr<Response> DescribeTensor(const Model& model, const Request& request) {
  if (!request.page_token().empty()) {
    return MakeError(ErrorReason::kBadPageToken,
                     "page token with `tensor` set: the description of a tensor is one page");
  }
  TENSORD_ASSIGN_OR_RETURN(const size_t index, model.Find(request.tensor()));
  Response response;
  *response.mutable_model() = ModelToProto(model);
  *response.mutable_tensor() = TensorToProto(model, model.tensor(index));
  return response;
}

// Whether `key` has a value somewhere in which the offset cuts a character, and none in which it
// does not.
bool CutsEveryValue(const Model& model, absl::string_view key, uint64_t offset) {
  bool found = false;
  for (const ModelFile& file : model.files()) {
    const size_t end = file.header == nullptr ? 0 : file.header->num_metadata_entries();
    for (size_t i = 0; i < end; ++i) {
      const SafetensorsHeader::MetadataEntry entry = file.header->metadata(i);
      if (entry.key != key) continue;
      if (IsBoundary(entry.value, offset)) return false;
      found = true;
    }
  }
  return found;
}

absl::StatusOr<MetadataFilter> FilterOf(const Model& model, const Request& request) {
  MetadataFilter filter;
  filter.keys.insert(request.keys().begin(), request.keys().end());
  filter.value_offset = request.value_offset();
  filter.max_value_bytes = request.max_value_bytes() == 0
                               ? kDefaultValueBytes
                               : std::min(request.max_value_bytes(), kMaxValueBytes);
  if (filter.value_offset == 0) return filter;
  if (request.keys_size() != 1) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("value_offset ", filter.value_offset, " with ",
                                  request.keys_size(), " keys, wanted exactly one"));
  }
  if (CutsEveryValue(model, request.keys(0), filter.value_offset)) {
    return MakeError(
        ErrorReason::kBadRequest,
        absl::StrCat("value_offset ", filter.value_offset,
                     " lies within a character of the value of ", Quote(request.keys(0))));
  }
  return filter;
}

uint64_t QueryOf(const Model& model, const Request& request) {
  Query query;
  query.Add(model.id()).Add(uint64_t{request.max_value_bytes()}).Add(request.value_offset());
  for (const std::string& key : request.keys()) query.Add(key);
  return query.hash();
}

absl::StatusOr<MetadataPager::Position> FirstOf(const Model& model, const Request& request) {
  if (request.page_token().empty()) return MetadataPager::Position{};
  TENSORD_ASSIGN_OR_RETURN(const PageToken token,
                           PageToken::DecodeFor(request.page_token(), PageToken::Listing::kMetadata,
                                                QueryOf(model, request), model.version()));
  // Side files are not part of the version: fewer of them now is no fault of the token.
  const size_t side_file = std::min<uint64_t>(token.position[0], model.side_files().size());
  const uint64_t num_files = model.files().size();
  if (token.position[1] > num_files) {
    return MakeError(ErrorReason::kBadPageToken,
                     absl::StrCat("page token is of file ", token.position[1], " of ", num_files));
  }
  return MetadataPager::Position{side_file, token.position[1], token.position[2]};
}

}  // namespace

absl::StatusOr<Response> GetMetadata(const CatalogView& catalog, const Request& request) {
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model,
                           FindModel(catalog, request.model(), request.version()));
  if (request.has_tensor()) return DescribeTensor(*model, request);
  TENSORD_ASSIGN_OR_RETURN(const MetadataFilter filter, FilterOf(*model, request));
  TENSORD_ASSIGN_OR_RETURN(const MetadataPager::Position first, FirstOf(*model, request));

  Response response;
  *response.mutable_model() = ModelToProto(*model);
  PageBudget budget(request.page_size());
  budget.AddBytes(response.model());
  const auto next = MetadataPager(catalog, *model, filter, budget, response).Fill(first);
  if (next) {
    const PageToken token = {PageToken::Listing::kMetadata,
                             QueryOf(*model, request),
                             model->version(),
                             {next->side_file, next->file, next->entry}};
    response.set_next_page_token(token.Encode());
  }
  return response;
}

}  // namespace tensord
