#include "server/credentials.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/credential_file.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/sha256.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Certificates and tokens are replaced hours before the old ones end; reading them costs nothing.
constexpr std::chrono::seconds kInterval(30);

// After something that did not fit: it may have been half written.
constexpr std::chrono::seconds kSecondLook(1);
constexpr int kMaxSecondLooks = 5;

absl::Status CheckOptions(const CredentialOptions& options) {
  const TlsFiles& tls = options.tls;
  if (tls.certificate.empty() != tls.key.empty()) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key need each other");
  }
  if (tls.certificate.empty() && !tls.client_ca.empty()) {
    return absl::InvalidArgumentError("--tls-client-ca needs --tls-cert and --tls-key");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Credentials>> Credentials::Load(const CredentialOptions& options,
                                                               OnReport on_report) {
  TENSORD_RETURN_IF_ERROR(CheckOptions(options));
  auto credentials = std::unique_ptr<Credentials>(new Credentials(options, std::move(on_report)));
  TENSORD_RETURN_IF_ERROR(credentials->LoadFirst());
  if (options.has_tls() || !options.token_file.empty()) {
    credentials->thread_ = std::thread([raw = credentials.get()] { raw->Run(); });
  }
  return credentials;
}

Credentials::Credentials(const CredentialOptions& options, OnReport on_report)
    : options_(options), on_report_(std::move(on_report)) {}

Credentials::~Credentials() {
  if (!thread_.joinable()) return;
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

absl::Status Credentials::LoadFirst() {
  if (options_.has_tls()) {
    TENSORD_ASSIGN_OR_RETURN(tls_, TlsCredentials::Create(options_.tls));
    if (tls_->others_can_read_key()) {
      on_report_({CredentialReport::Kind::kCertificate, /*is_first=*/true, absl::OkStatus(), true});
    }
  }
  if (!options_.token_file.empty()) {
    TENSORD_RETURN_IF_ERROR(ReloadTokens().status());
    if (others_can_read_tokens_) {
      on_report_({CredentialReport::Kind::kTokens, /*is_first=*/true, absl::OkStatus(), true});
    }
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> Credentials::ForTcp() const {
  return tls_ == nullptr ? nullptr : tls_->ForServer();
}

void Credentials::ReloadNow() {
  {
    const MutexLock lock(mutex_);
    is_asked_ = true;
  }
  wake_.notify_one();
}

std::optional<absl::Time> Credentials::certificate_not_after() const {
  if (tls_ == nullptr) return std::nullopt;
  return tls_->not_after();
}

uint64_t Credentials::num_reloads() const {
  const MutexLock lock(mutex_);
  return num_reloads_;
}

uint64_t Credentials::num_failed_reloads() const {
  const MutexLock lock(mutex_);
  return num_failed_reloads_;
}

void Credentials::Run() {
  std::chrono::seconds pause = kInterval;
  int second_looks = 0;
  for (;;) {
    {
      const MutexLock lock(mutex_);
      const auto end = std::chrono::steady_clock::now() + pause;
      while (!is_ending_ && !is_asked_ &&
             wake_.wait_until(mutex_, end) == std::cv_status::no_timeout) {
      }
      if (is_ending_) return;
      if (is_asked_) second_looks = 0;
      is_asked_ = false;
    }
    if (Look()) {
      second_looks = 0;
      pause = kInterval;
    } else {
      pause = second_looks++ < kMaxSecondLooks ? kSecondLook : kInterval;
    }
  }
}

bool Credentials::Look() {
  bool all_fit = true;
  if (tls_ != nullptr) {
    all_fit &= Note(CredentialReport::Kind::kCertificate, tls_->Reload(), tls_failure_);
  }
  if (!options_.token_file.empty()) {
    all_fit &= Note(CredentialReport::Kind::kTokens, ReloadTokens(), tokens_failure_);
  }
  return all_fit;
}

absl::StatusOr<bool> Credentials::ReloadTokens() {
  TENSORD_ASSIGN_OR_RETURN(const CredentialFile file, ReadCredentialFile(options_.token_file));
  std::string digest = Sha256(file.bytes);  // Tokens themselves stay in memory for a moment only.
  if (digest == tokens_text_digest_) return false;
  absl::StatusOr<std::shared_ptr<const AccessRules>> rules = AccessRules::Parse(file.bytes);
  if (!rules.ok()) {
    return Annotate(rules.status(), absl::StrCat("file ", Quote(options_.token_file)));
  }
  access_.Replace(*std::move(rules));
  tokens_text_digest_ = std::move(digest);
  others_can_read_tokens_ = file.others_can_read;
  return true;
}

bool Credentials::Note(CredentialReport::Kind kind, const absl::StatusOr<bool>& changed,
                       std::string& last_failure) {
  const std::string failure(changed.status().message());
  const bool is_news = changed.ok() ? *changed : failure != last_failure;
  last_failure = failure;
  if (!is_news) return changed.ok();
  {
    const MutexLock lock(mutex_);
    ++(changed.ok() ? num_reloads_ : num_failed_reloads_);
  }
  const bool others_can_read = kind == CredentialReport::Kind::kCertificate
                                   ? tls_->others_can_read_key()
                                   : others_can_read_tokens_;
  on_report_({kind, /*is_first=*/false, changed.status(), others_can_read});
  return changed.ok();
}

}  // namespace tensord
