#include "server/page_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "absl/strings/escaping.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

using Listing = PageToken::Listing;

PageToken Example() { return {Listing::kTensors, 77, "v1:abc", {1, UINT64_MAX, 0}}; }

TEST(PageToken, ReadsBack) {
  const auto token = PageToken::Decode(Example().Encode(), Listing::kTensors, 77);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->text, "v1:abc");
  EXPECT_EQ(token->position, Example().position);
}

TEST(PageToken, IsTextForAnyTransport) {
  PageToken token = Example();
  for (int i = 0; i < 256; ++i) token.text.push_back(static_cast<char>(i));
  EXPECT_EQ(token.Encode().find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "abcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
  EXPECT_EQ(PageToken::Decode(token.Encode(), Listing::kTensors, 77)->text, token.text);
}

TEST(PageToken, OfAnotherListingOrQueryIsRefused) {
  const std::string text = Example().Encode();
  EXPECT_THAT(PageToken::Decode(text, Listing::kMetadata, 77).status(),
              HasReason(ErrorReason::kBadPageToken, "another call"));
  EXPECT_THAT(PageToken::Decode(text, Listing::kTensors, 78).status(),
              HasReason(ErrorReason::kBadPageToken, "other fields"));
}

TEST(PageToken, OfAnotherVersionNamesBoth) {
  const std::string text = Example().Encode();
  EXPECT_TRUE(PageToken::DecodeFor(text, Listing::kTensors, 77, "v1:abc").ok());
  const absl::Status status = PageToken::DecodeFor(text, Listing::kTensors, 77, "v2").status();
  EXPECT_THAT(status, HasReason(ErrorReason::kVersionChanged, "\"v1:abc\""));
  EXPECT_THAT(status, HasReason(ErrorReason::kVersionChanged, "\"v2\""));
}

TEST(PageToken, NonsenseIsRefused) {
  const std::string good = Example().Encode();
  for (const std::string& text :
       {std::string("x"), std::string("next"), std::string(1 << 20, 'A'), std::string("\0", 1),
        good + "=", good + "==", " " + good, good + "A", good + "\n", good.substr(1),
        good.substr(0, good.size() - 1), good + good, std::string(60, 'A'), std::string("\xff")}) {
    EXPECT_THAT(PageToken::Decode(text, Listing::kTensors, 77).status(),
                HasReason(ErrorReason::kBadPageToken));
  }
}

TEST(PageToken, NoSingleCharacterCanBeChanged) {
  const std::string good = Example().Encode();
  for (size_t i = 0; i < good.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string text = good;
      text[i] = static_cast<char>(c);
      if (text == good) continue;
      ASSERT_FALSE(PageToken::Decode(text, Listing::kTensors, 77).ok()) << i << " " << c;
    }
  }
}

TEST(Query, DependsOnEveryFieldAndItsPlace) {
  EXPECT_EQ(Query().Add("ab").Add("c").hash(), Query().Add("ab").Add("c").hash());
  EXPECT_NE(Query().Add("ab").Add("c").hash(), Query().Add("a").Add("bc").hash());
  EXPECT_NE(Query().Add("a").Add("").hash(), Query().Add("").Add("a").hash());
  EXPECT_NE(Query().Add(uint64_t{1}).hash(), Query().Add(uint64_t{256}).hash());
  EXPECT_NE(Query().Add("a").hash(), Query().Add("a").Add("").hash());
}

}  // namespace
}  // namespace tensord
