// The bearer token that goes with each call.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "src/file_identity.h"
#include "src/mutex.h"
#include "tensord/client_options.h"

namespace tensord {

// Thread-safe.
class TokenSource {
 public:
  // INVALID_ARGUMENT, which never holds the token: both `token` and `token_file` are given; a file
  // that cannot be read; what is given is no token.
  static absl::StatusOr<std::unique_ptr<TokenSource>> Create(const ClientOptions& options);

  // "" for none. A file is looked at each time and read again when it has changed; what it held
  // before counts while it holds no token.
  std::string Get();

  bool has_token() const { return !is_empty_; }

 private:
  TokenSource(std::string file, std::string token)
      : file_(std::move(file)), is_empty_(token.empty()), token_(std::move(token)) {}

  const std::string file_;  // "": the token is a constant.
  const bool is_empty_;
  Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  FileIdentity read_ ABSL_GUARDED_BY(mutex_);  // Which state of the file was read last.
};

}  // namespace tensord
