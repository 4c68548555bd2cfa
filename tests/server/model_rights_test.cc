#include "server/model_rights.h"

#include <gtest/gtest.h>

#include "src/error.h"

namespace tensord {
namespace {

ModelRights Rights(absl::string_view pattern) {
  ModelRights rights;
  EXPECT_TRUE(rights.Add(pattern).ok());
  return rights;
}

TEST(ModelRights, NothingIsAllowedAtFirst) {
  EXPECT_FALSE(ModelRights().Allow("gpt2"));
  EXPECT_FALSE(ModelRights().Allow(""));
  EXPECT_TRUE(ModelRights::Everything().Allow("gpt2"));
}

TEST(ModelRights, NameCoversWhatLiesBelowIt) {
  const ModelRights rights = Rights("org/name");
  for (const char* name : {"org/name", "org/name/model", "org/name@main", "org/name@1a2b/model",
                           "org/name/model.safetensors"}) {
    EXPECT_TRUE(rights.Allow(name)) << name;
  }
  for (const char* name : {"", "org", "org/", "org/name2", "org/name2/model", "other/org/name",
                           "org/nam", "ORG/name"}) {
    EXPECT_FALSE(rights.Allow(name)) << name;
  }
}

TEST(ModelRights, PatternsAreGlobsOnWholeNames) {
  EXPECT_TRUE(Rights("llama-{1..3}").Allow("llama-2/model"));
  EXPECT_FALSE(Rights("llama-{1..3}").Allow("llama-4/model"));
  EXPECT_TRUE(Rights("team/*").Allow("team/a/b/model"));
  EXPECT_FALSE(Rights("team/*").Allow("team"));
  EXPECT_TRUE(Rights("a,b").Allow("a,b/model"));
  EXPECT_FALSE(Rights("a,b").Allow("a"));
}

TEST(ModelRights, SeveralPatternsAddUp) {
  ModelRights rights = Rights("a");
  ASSERT_TRUE(rights.Add("b").ok());
  EXPECT_TRUE(rights.Allow("a"));
  EXPECT_TRUE(rights.Allow("b/model"));
  EXPECT_FALSE(rights.Allow("c"));
}

TEST(ModelRights, BadPatternIsRefusedAsItWasGiven) {
  const absl::Status status = ModelRights().Add("{a");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadRequest);
  EXPECT_NE(status.message().find("\"{a\""), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace tensord
