#include "server/access_rules.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/sha256.h"

namespace tensord {
namespace {

std::shared_ptr<const AccessRules> Parse(absl::string_view text) {
  auto rules = AccessRules::Parse(text);
  EXPECT_TRUE(rules.ok()) << rules.status();
  return *rules;
}

TEST(AccessRules, TokenWithoutModelsMayReadAll) {
  const auto rules = Parse("a-long-token-001\n");
  ASSERT_NE(rules->FindToken("a-long-token-001"), nullptr);
  EXPECT_TRUE(rules->FindToken("a-long-token-001")->models.is_everything());
  for (const char* wrong : {"", "a-long-token-00", "a-long-token-0011", "A-long-token-001",
                            "a-long-token-002", "a-long-token-001 "}) {
    EXPECT_EQ(rules->FindToken(wrong), nullptr) << wrong;
  }
}

TEST(AccessRules, CommentsBlanksAndLineEndsSayNothing) {
  const auto rules = Parse(
      "# tokens\r\n\n  a-token-of-letters\t models=x  models=y \r\n\n#b\nanother-token-of-letters");
  EXPECT_EQ(rules->size(), 2u);
  const AccessRules::Grant* const grant = rules->FindToken("a-token-of-letters");
  ASSERT_NE(grant, nullptr);
  EXPECT_TRUE(grant->models.Allow("x/model"));
  EXPECT_TRUE(grant->models.Allow("y"));
  EXPECT_FALSE(grant->models.Allow("z"));
  EXPECT_NE(rules->FindToken("another-token-of-letters"), nullptr);
}

TEST(AccessRules, DigestStandsForItsToken) {
  const std::string hex = absl::BytesToHexString(Sha256("a-token-of-letters"));
  const auto rules = Parse(absl::StrCat("sha256:", hex, " models=x"));
  ASSERT_NE(rules->FindToken("a-token-of-letters"), nullptr);
  EXPECT_EQ(rules->FindToken(hex), nullptr);
  EXPECT_FALSE(rules->FindToken("a-token-of-letters")->models.is_everything());
}

TEST(AccessRules, IdentityNamesATokenByItsDigestOnly) {
  const auto rules = Parse("a-token-of-letters");
  const std::string& identity = rules->FindToken("a-token-of-letters")->identity;
  EXPECT_EQ(
      identity,
      absl::StrCat("token:", absl::BytesToHexString(Sha256("a-token-of-letters")).substr(0, 8)));
}

TEST(AccessRules, CertificatesAreFoundByKindAndGlob) {
  const auto rules = Parse(
      "uri:spiffe://cluster/ns/*/sa/worker models=x\n"
      "dns:worker.example\n"
      "cn:worker models=z\n"
      "subject:CN=worker,O=Test Lab models=y\n");
  EXPECT_TRUE(rules->has_names());
  const auto find = [&](absl::string_view kind, absl::string_view value) {
    return rules->FindName({{"dns", "elsewhere"}, {kind, value}});
  };
  ASSERT_NE(find("uri", "spiffe://cluster/ns/a/sa/worker"), nullptr);
  EXPECT_TRUE(find("uri", "spiffe://cluster/ns/a/sa/worker")->models.Allow("x"));
  EXPECT_EQ(find("uri", "spiffe://cluster/ns/a/sa/worker2"), nullptr);
  EXPECT_EQ(find("dns", "worker.example")->identity, "dns:worker.example");
  EXPECT_EQ(find("cn", "worker.example"), nullptr) << "another kind";
  ASSERT_NE(find("subject", "CN=worker,O=Test Lab"), nullptr);
  EXPECT_TRUE(find("subject", "CN=worker,O=Test Lab")->models.Allow("y"));
  EXPECT_EQ(rules->FindName({}), nullptr);
}

TEST(AccessRules, FirstLineThatMatchesACertificateCounts) {
  const auto rules = Parse("dns:*.example models=x\ndns:worker.example models=y\n");
  EXPECT_TRUE(rules->FindName({{"dns", "worker.example"}})->models.Allow("x"));
}

TEST(AccessRules, AUserIsFoundByNumberOnly) {
  const auto rules = Parse("uid:1000 models=x\nuid:0\n");
  ASSERT_NE(rules->FindName({{"uid", "1000"}}), nullptr);
  EXPECT_FALSE(rules->FindName({{"uid", "1000"}})->models.is_everything());
  EXPECT_TRUE(rules->FindName({{"uid", "0"}})->models.is_everything());
  for (const char* other : {"100", "10000", "", "unknown"}) {
    EXPECT_EQ(rules->FindName({{"uid", other}}), nullptr) << other;
  }
  EXPECT_EQ(rules->FindName({{"cn", "1000"}}), nullptr) << "what a certificate says";
}

struct BadRow {
  const char* name;
  std::string text;
  const char* message;
};

class BadRules : public testing::TestWithParam<BadRow> {};

TEST_P(BadRules, AreRefusedByLineWithoutTheToken) {
  const absl::Status status = AccessRules::Parse(GetParam().text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), GetParam().message)) << status;
  EXPECT_FALSE(absl::StrContains(status.message(), "a-token-of-letters")) << status;
}

std::string ManyTokens() {
  std::string text;
  for (size_t i = 0; i <= kMaxAccessRules; ++i)
    absl::StrAppend(&text, "token-of-letters-", i, "\n");
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    AccessRules, BadRules,
    testing::Values(
        BadRow{"Empty", "", "no credential"},
        BadRow{"CommentsOnly", "# a-token-of-letters\n", "no credential"},
        BadRow{"Repeated", "a-token-of-letters\n\na-token-of-letters models=x",
               "line 3: the token stands"},
        BadRow{"RepeatedName", "dns:x\ndns:x models=y", "line 2: the name stands"},
        BadRow{"Guessable", "short-a-token", "line 1: wanted is a token of at least 16"},
        BadRow{"TwoWords", "a-token-of-letters b-token-of-letters", "line 1: wanted is a token"},
        BadRow{"UnknownKind", "another-token-of-letters\ndsn:a-token-of-letters",
               "line 2: wanted is a token"},
        BadRow{"NoValue", "dns:", "line 1: dns: wants a value"},
        BadRow{"UidGlob", "uid:*", "line 1: uid: wants the number"},
        BadRow{"UidZeroes", "uid:007", "line 1: uid: wants the number"},
        BadRow{"UidName", "uid:root", "line 1: uid: wants the number"},
        BadRow{"UidTooLarge", "uid:4294967296", "line 1: uid: wants the number"},
        BadRow{"ShortDigest", "sha256:00ff", "64 hexadecimal digits"},
        BadRow{"BadGlob", "a-token-of-letters models={x", "line 1: pattern"},
        BadRow{"EmptyGlob", "a-token-of-letters models=", "line 1: wanted are only models="},
        BadRow{"OtherOption", "a-token-of-letters models=x user=y", "line 1: wanted are only"},
        BadRow{"TooLong", std::string(5000, 'x'), "line 1: wanted is a token"},
        BadRow{"TooMany", ManyTokens(), "more than 4096 lines"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
