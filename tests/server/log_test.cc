#include "server/log.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

// What one call writes to stderr.
template <typename Write>
std::string Logged(LogFormat format, const std::string& level, Write write) {
  testing::internal::CaptureStderr();
  StartLog(format, level);
  write();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, JsonLineIsOneObjectWhateverTheValuesHold) {
  const std::string nasty = "a\"b\\c\nd\x1b[31m\xff \xe2\x80\xae 日本";
  const std::string line = Logged(LogFormat::kJson, "info", [&nasty] {
    LogWarning("cannot serve", {{"file", nasty}, {"bytes", uint64_t{1} << 60}});
  });
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  google::protobuf::Struct parsed;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &parsed).ok()) << line;
  EXPECT_EQ(parsed.fields().at("level").string_value(), "warn");
  EXPECT_EQ(parsed.fields().at("msg").string_value(), "cannot serve");
  EXPECT_THAT(parsed.fields().at("ts").string_value(), MatchesRegex("20..-..-..T..:..:..[.]...Z"));
  EXPECT_THAT(parsed.fields().at("file").string_value(), HasSubstr("日本"));
  EXPECT_EQ(parsed.fields().at("file").string_value().find('\x1b'), std::string::npos);
  EXPECT_THAT(line, HasSubstr("\"bytes\":1152921504606846976"));
}

TEST(Log, TextLineQuotesWhatIsNotPlain) {
  const std::string line = Logged(LogFormat::kText, "info", [] {
    LogInfo("scanned", {{"models", uint64_t{3}}, {"store", "/a b\n"}, {"file", "plain.txt"}});
  });
  EXPECT_THAT(line, HasSubstr(" I scanned models=3 store=\"/a b\\\\n\" file=plain.txt\n"));
}

TEST(Log, LevelHidesWhatIsLessSevere) {
  const std::string line = Logged(LogFormat::kText, "warn", [] {
    LogInfo("hidden", {});
    LogError("shown", {});
  });
  EXPECT_THAT(line, HasSubstr("shown"));
  EXPECT_EQ(line.find("hidden"), std::string::npos);
}

TEST(Log, ListeningLineHoldsTheAddressInBothFormatsAtEveryLevel) {
  int port = 50050;
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    for (const char* level : {"debug", "info", "warn", "error"}) {
      // One of its own each time: repeated lines are held back.
      const std::string address = absl::StrCat("127.0.0.1:", ++port);
      const std::string line = Logged(format, level, [&] { LogListening(address); });
      EXPECT_THAT(line, HasSubstr("listening address=" + address)) << level;
    }
  }
}

}  // namespace
}  // namespace tensord
