// Reads a listing to its end.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/connection.h"
#include "src/status_macros.h"

namespace tensord {

inline constexpr uint32_t kPageSize = 10'000;  // The server's limit; it ends pages at 1 MiB anyway.

// Asks for page after page and hands each to `on_page`, whose error ends the loop. DATA_LOSS when
// the server hands out the same token again, which would never end.
template <typename Request, typename Response, typename OnPage>
absl::Status ForEachPage(const Connection& connection,
                         grpc::Status (v1::TensorStore::Stub::*method)(grpc::ClientContext*,
                                                                       const Request&, Response*),
                         Request request, const Call& call, const OnPage& on_page) {
  request.set_page_size(kPageSize);
  while (true) {
    TENSORD_ASSIGN_OR_RETURN(const Response page, connection.Ask(method, request, call));
    TENSORD_RETURN_IF_ERROR(on_page(page));
    const std::string& next = page.next_page_token();
    if (next.empty()) return absl::OkStatus();
    if (next == request.page_token()) {
      return absl::DataLossError("the server answers with the same page token again");
    }
    request.set_page_token(next);
  }
}

}  // namespace tensord
