// How a channel is secured.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tensord/client_options.h"

namespace tensord {

// TLS where the options name an authority and `target`, as ParseAddress makes it, is no Unix
// socket; else none. Reads the files, and reads them again while the credentials live: what has
// been replaced by a rename or a symlink swap counts for new connections. INVALID_ARGUMENT: a file
// cannot be read or holds no PEM; tls_cert and tls_key are not given together, or without tls_ca;
// the options have a token that would travel unencrypted to `address`.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    absl::string_view address, absl::string_view target, const ClientOptions& options);

}  // namespace tensord
