// What a client does with tokens and certificates before it meets a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/token_source.h"
#include "tensord/client.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTcp[] = "127.0.0.1:50051";
constexpr char kUnix[] = "unix:/run/tensord/tensord.sock";
constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

std::string Refusal(const char* address, const ClientOptions& options) {
  const absl::Status status = Client::Connect(address, options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

class ClientSecurity : public testing::Test {
 protected:
  TempDir directory_;
  ClientOptions options_;
};

TEST_F(ClientSecurity, TokenIsNeverSentUnencryptedOverTcp) {
  options_.token = "a-token";
  for (const char* address : {kTcp, "[::1]:50051", "dns:///example:50051"}) {
    EXPECT_THAT(Refusal(address, options_), HasSubstr("a token would travel unencrypted"));
    EXPECT_THAT(Refusal(address, options_), Not(HasSubstr("a-token")));
  }
  options_.token = "";
  options_.token_file = directory_.Write("token", "a-token\n");
  EXPECT_THAT(Refusal(kTcp, options_), HasSubstr("a token would travel unencrypted"));
}

TEST_F(ClientSecurity, TokenGoesOverUnixSocketsAndTls) {
  options_.token = "a-token";
  EXPECT_TRUE(Client::Connect(kUnix, options_).ok());
  options_.tls_ca = directory_.Write("ca.crt", kPem);
  EXPECT_TRUE(Client::Connect(kTcp, options_).ok());
  EXPECT_TRUE(Client::Connect(kUnix, options_).ok()) << "TLS options do not matter there";
}

TEST_F(ClientSecurity, TextThatIsNoTokenIsRefusedWithoutShowingIt) {
  for (const std::string bad : {"two words", "line\nbreak", "colon:s", "umlaut-\xc3\xa4"}) {
    options_.token = bad;
    EXPECT_THAT(Refusal(kUnix, options_), HasSubstr("no bearer token"));
    EXPECT_THAT(Refusal(kUnix, options_), Not(HasSubstr(bad)));
  }
  options_.token = "";
  options_.token_file = directory_.Write("token", "a-token models=x\n");
  EXPECT_THAT(Refusal(kUnix, options_), HasSubstr("something else than one bearer token"));
  options_.token_file = directory_.Write("token", "\n");
  EXPECT_THAT(Refusal(kUnix, options_), HasSubstr("something else than one bearer token"));
  options_.token_file = directory_.Path("missing");
  EXPECT_THAT(Refusal(kUnix, options_), HasSubstr("cannot be read"));
}

TEST_F(ClientSecurity, OptionsThatContradictEachOtherAreRefused) {
  options_.token = "a-token";
  options_.token_file = directory_.Write("token", "a-token");
  EXPECT_THAT(Refusal(kUnix, options_), HasSubstr("exclude each other"));
  ClientOptions tls;
  tls.tls_cert = directory_.Write("tls.crt", kPem);
  EXPECT_THAT(Refusal(kTcp, tls), HasSubstr("need each other"));
  tls.tls_key = directory_.Write("tls.key", kPem);
  EXPECT_THAT(Refusal(kTcp, tls), HasSubstr("needs tls_ca"));
  tls.tls_ca = directory_.Write("text", "no certificate");
  EXPECT_THAT(Refusal(kTcp, tls), HasSubstr("is no PEM file"));
  tls.tls_ca = directory_.Path("missing");
  EXPECT_THAT(Refusal(kTcp, tls), HasSubstr("cannot be read"));
}

TEST_F(ClientSecurity, TokenFileIsReadAgainAndKeepsItsTokenWhileItHoldsNone) {
  options_.token_file = directory_.Write("token", "first-token\n");
  auto source = TokenSource::Create(options_);
  ASSERT_TRUE(source.ok());
  EXPECT_TRUE((*source)->has_token());
  EXPECT_EQ((*source)->Get(), "first-token");
  directory_.Write("token", "second-token");
  EXPECT_EQ((*source)->Get(), "second-token");
  directory_.Write("token", "half a token");
  EXPECT_EQ((*source)->Get(), "second-token");
  directory_.Write("token", "the-third-token");
  EXPECT_EQ((*source)->Get(), "the-third-token");
}

TEST_F(ClientSecurity, NoTokenIsNone) {
  auto source = TokenSource::Create(options_);
  ASSERT_TRUE(source.ok());
  EXPECT_FALSE((*source)->has_token());
  EXPECT_EQ((*source)->Get(), "");
}

}  // namespace
}  // namespace tensord
