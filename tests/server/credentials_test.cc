// Files with credentials that change while a server runs.
#include "server/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <string>
#include <vector>

#include "src/mutex.h"
#include "tests/temp_dir.h"
#include "tests/testing/certificate.h"

namespace tensord {
namespace {

using testing::HasSubstr;
using Kind = CredentialReport::Kind;

// Collects what is reported, from whatever thread.
class Reports {
 public:
  Credentials::OnReport Collector() {
    return [this](const CredentialReport& report) {
      const MutexLock lock(mutex_);
      reports_.push_back(report);
      arrived_.notify_all();
    };
  }
  // The next one, once it is there.
  CredentialReport Next() {
    const MutexLock lock(mutex_);
    while (num_seen_ == reports_.size()) arrived_.wait(mutex_);
    return reports_[num_seen_++];
  }
  size_t size() const {
    const MutexLock lock(mutex_);
    return reports_.size();
  }

 private:
  mutable Mutex mutex_;
  std::condition_variable_any arrived_;
  std::vector<CredentialReport> reports_ ABSL_GUARDED_BY(mutex_);
  size_t num_seen_ ABSL_GUARDED_BY(mutex_) = 0;
};

class CredentialsTest : public testing::Test {
 protected:
  void Put(const TestCertificate& pair) {
    options_.tls.certificate = Replace("tls.crt", pair.certificate);
    options_.tls.key = Replace("tls.key", pair.key);
  }
  void PutTokens(const std::string& text) { options_.token_file = Replace("tokens", text); }

  std::unique_ptr<Credentials> Load() {
    auto credentials = Credentials::Load(options_, reports_.Collector());
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return *std::move(credentials);
  }
  std::string Refusal() {
    const absl::Status status = Credentials::Load(options_, reports_.Collector()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  // By rename, readable by the owner only.
  std::string Replace(const std::string& name, const std::string& text) {
    const std::string fresh = dir_.Write(name + ".fresh", text);
    EXPECT_EQ(chmod(fresh.c_str(), 0600), 0);
    EXPECT_EQ(rename(fresh.c_str(), dir_.Path(name).c_str()), 0);
    return dir_.Path(name);
  }

  TempDir dir_;
  Reports reports_;
  CredentialOptions options_;
};

TEST_F(CredentialsTest, WithoutFilesThereIsNothingToAskFor) {
  const auto credentials = Load();
  EXPECT_EQ(credentials->ForTcp(), nullptr);
  EXPECT_EQ(credentials->certificate_not_after(), std::nullopt);
}

TEST_F(CredentialsTest, OptionsThatNeedEachOtherAreNamed) {
  options_.tls.certificate = "x";
  EXPECT_THAT(Refusal(), HasSubstr("--tls-cert and --tls-key need each other"));
  options_.tls = {"", "", "x"};
  EXPECT_THAT(Refusal(), HasSubstr("--tls-client-ca needs"));
}

TEST_F(CredentialsTest, ANewCertificateIsTakenOver) {
  Put(MakeTestCertificate("first"));
  const auto credentials = Load();
  const absl::Time end = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) + 500);
  Put(MakeTestCertificate("second", absl::Now() - absl::Hours(1), end));
  credentials->ReloadNow();
  const CredentialReport report = reports_.Next();
  EXPECT_EQ(report.kind, Kind::kCertificate);
  EXPECT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(credentials->certificate_not_after(), end);
  EXPECT_EQ(credentials->num_reloads(), 1u);
}

TEST_F(CredentialsTest, ABadPairReplacesNothingAndIsReportedOnce) {
  Put(MakeTestCertificate("first"));
  const auto credentials = Load();
  const auto before = credentials->certificate_not_after();
  Replace("tls.key", MakeTestCertificate("other").key);
  credentials->ReloadNow();
  EXPECT_THAT(std::string(reports_.Next().status.message()), HasSubstr("not the one of"));
  EXPECT_EQ(credentials->certificate_not_after(), before);
  // What comes later shows that nothing was said in between.
  credentials->ReloadNow();
  Put(MakeTestCertificate("second"));
  credentials->ReloadNow();
  EXPECT_TRUE(reports_.Next().status.ok());
  EXPECT_EQ(reports_.size(), 2u);
  EXPECT_EQ(credentials->num_failed_reloads(), 1u);
}

TEST_F(CredentialsTest, TokensAreReplacedAndABadFileReplacesNothing) {
  PutTokens("token-of-letters-1\n");
  const auto credentials = Load();
  PutTokens("token-of-letters-2\n");
  credentials->ReloadNow();
  EXPECT_EQ(reports_.Next().kind, Kind::kTokens);
  PutTokens("token-of-letters-3 bad\n");
  credentials->ReloadNow();
  const CredentialReport report = reports_.Next();
  EXPECT_THAT(std::string(report.status.message()), HasSubstr("line 1"));
  EXPECT_THAT(std::string(report.status.message()), testing::Not(HasSubstr("token-of-letters-3")));
  EXPECT_EQ(credentials->num_reloads(), 1u);
}

TEST_F(CredentialsTest, SecretsThatOthersCanReadAreReportedAtTheStart) {
  Put(MakeTestCertificate("server"));
  PutTokens("token-of-letters-1\n");
  EXPECT_EQ(chmod(options_.tls.key.c_str(), 0644), 0);
  EXPECT_EQ(chmod(options_.token_file.c_str(), 0640), 0);
  Load();
  for (const Kind kind : {Kind::kCertificate, Kind::kTokens}) {
    const CredentialReport report = reports_.Next();
    EXPECT_EQ(report.kind, kind);
    EXPECT_TRUE(report.is_first && report.others_can_read);
  }
}

TEST_F(CredentialsTest, AGroupMayReadWhatIsAnotherUsers) {
  PutTokens("token-of-letters-1\n");
  EXPECT_EQ(chmod(options_.token_file.c_str(), 0440), 0);
  // As a kubelet mounts secrets. Only root can give files away.
  if (chown(options_.token_file.c_str(), geteuid() + 1, getegid()) != 0) return;
  Load();
  EXPECT_EQ(reports_.size(), 0u);
}

}  // namespace
}  // namespace tensord
