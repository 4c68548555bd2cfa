#include "server/tls_material.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/temp_dir.h"
#include "tests/testing/certificate.h"

namespace tensord {
namespace {

using testing::HasSubstr;

class TlsMaterialTest : public testing::Test {
 protected:
  TlsFiles Files(const std::string& certificate, const std::string& key) {
    return {dir_.Write("tls.crt", certificate), dir_.Write("tls.key", key), ""};
  }
  std::string Refusal(const TlsFiles& files) {
    const absl::Status status = LoadTlsMaterial(files).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  TempDir dir_;
  const TestCertificate good_ = MakeTestCertificate("server");
};

TEST_F(TlsMaterialTest, APairIsTakenAsItIs) {
  const absl::Time end = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) + 1000);
  const TestCertificate pair = MakeTestCertificate("server", absl::Now() - absl::Hours(1), end);
  const auto material = LoadTlsMaterial(Files(pair.certificate, pair.key));
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ(material->certificate, pair.certificate);
  EXPECT_EQ(material->key, pair.key);
  EXPECT_EQ(material->client_ca, "");
  EXPECT_EQ(material->not_after, end);
}

TEST_F(TlsMaterialTest, AChainExpiresWithItsFirstCertificate) {
  const TestCertificate root =
      MakeTestCertificate("root", absl::Now() - absl::Hours(1), absl::Now() + absl::Minutes(1));
  const auto material = LoadTlsMaterial(Files(good_.certificate + root.certificate, good_.key));
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_GT(material->not_after, absl::Now() + absl::Minutes(30));
}

TEST_F(TlsMaterialTest, AKeyOfAnotherCertificateIsRefused) {
  EXPECT_THAT(Refusal(Files(good_.certificate, MakeTestCertificate("other").key)),
              HasSubstr("not the one of the certificate"));
}

TEST_F(TlsMaterialTest, ACertificateOutsideItsTimeIsRefused) {
  const TestCertificate old =
      MakeTestCertificate("old", absl::Now() - absl::Hours(2), absl::Now() - absl::Hours(1));
  EXPECT_THAT(Refusal(Files(old.certificate, old.key)), HasSubstr("expired at"));
  const TestCertificate early =
      MakeTestCertificate("early", absl::Now() + absl::Hours(1), absl::Now() + absl::Hours(2));
  EXPECT_THAT(Refusal(Files(early.certificate, early.key)), HasSubstr("is not valid before"));
}

TEST_F(TlsMaterialTest, AnEncryptedKeyIsRefusedAndNobodyIsAskedForAPassword) {
  EXPECT_THAT(Refusal(Files(good_.certificate, Encrypted(good_.key))), HasSubstr("encrypted key"));
}

TEST_F(TlsMaterialTest, TextIsRefusedAndNotShown) {
  for (const std::string& text :
       {Refusal(Files("sesame", good_.key)), Refusal(Files(good_.certificate, "sesame"))}) {
    EXPECT_THAT(text, HasSubstr("holds no PEM"));
    EXPECT_THAT(text, testing::Not(HasSubstr("sesame")));
  }
}

TEST_F(TlsMaterialTest, AMissingFileIsNamed) {
  TlsFiles files = Files(good_.certificate, good_.key);
  files.client_ca = dir_.Path("missing");
  EXPECT_THAT(Refusal(files), HasSubstr("missing"));
  files.client_ca = dir_.Write("text", "text");
  EXPECT_THAT(Refusal(files), HasSubstr("holds no PEM certificate"));
  files.client_ca = files.certificate;
  EXPECT_TRUE(LoadTlsMaterial(files).ok());
}

}  // namespace
}  // namespace tensord
