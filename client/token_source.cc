#include "client/token_source.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/bearer_token.h"
#include "src/credential_file.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  TENSORD_ASSIGN_OR_RETURN(const CredentialFile file, ReadCredentialFile(path));
  const absl::string_view token = absl::StripAsciiWhitespace(file.bytes);
  if (IsBearerToken(token)) return std::string(token);
  return absl::InvalidArgumentError(
      absl::StrCat("token_file ", Quote(path), " holds something else than one bearer token"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenSource>> TokenSource::Create(const ClientOptions& options) {
  std::string token = options.token;
  if (!token.empty() && !options.token_file.empty()) {
    return absl::InvalidArgumentError("token and token_file exclude each other");
  }
  if (!token.empty() && !IsBearerToken(token)) {
    return absl::InvalidArgumentError(absl::StrCat("token is no bearer token: wanted are 1 to ",
                                                   kMaxTokenBytes, " letters, digits and -._~+/="));
  }
  if (!options.token_file.empty()) {
    TENSORD_ASSIGN_OR_RETURN(token, ReadToken(options.token_file));
  }
  return std::unique_ptr<TokenSource>(new TokenSource(options.token_file, std::move(token)));
}

std::string TokenSource::Get() {
  if (file_.empty() || is_empty_) {
    const MutexLock lock(mutex_);
    return token_;
  }
  struct stat status = {};
  const absl::StatusOr<FileIdentity> now =
      stat(file_.c_str(), &status) == 0 ? IdentityOf(status) : FileIdentity();
  const MutexLock lock(mutex_);
  if (!now.ok() || *now == read_) return token_;
  read_ = *now;  // As it was before it is read: a change in between is seen the next time.
  if (absl::StatusOr<std::string> read = ReadToken(file_); read.ok()) token_ = *std::move(read);
  return token_;
}

}  // namespace tensord
