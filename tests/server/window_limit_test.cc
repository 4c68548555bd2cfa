#include "server/window_limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "src/window_sign.h"

namespace tensord {
namespace {

constexpr uint16_t kHeaderTableSize = 1;
constexpr uint16_t kInitialWindowSize = 4;
constexpr uint16_t kMaxHeaderListSize = 6;
constexpr uint32_t kMost = kMaxWindowBytes;

std::string Entry(uint16_t number, uint32_t value) {
  std::string entry;
  for (const int shift : {8, 0}) entry += static_cast<char>(number >> shift);
  for (const int shift : {24, 16, 8, 0}) entry += static_cast<char>(value >> shift);
  return entry;
}

// What becomes of a payload that comes in pieces of `piece_bytes`.
std::string Limited(WindowLimit& limit, std::string payload, size_t piece_bytes) {
  auto* const begin = reinterpret_cast<uint8_t*>(payload.data());
  limit.Begin();
  for (size_t i = 0; i < payload.size(); i += piece_bytes) {
    limit.Apply(absl::MakeSpan(begin + i, std::min(piece_bytes, payload.size() - i)));
  }
  return payload;
}

// Of a client that wants its windows lowered.
class WindowLimitTest : public testing::Test {
 protected:
  WindowLimitTest() {
    const std::string sign = Entry(kMaxHeaderListSize, kWindowSign);
    EXPECT_EQ(Limited(limit_, sign, 1), sign);
  }

  WindowLimit limit_;
};

TEST(WindowLimit, LeavesClientsAloneThatDoNotAskForIt) {
  const std::string large = Entry(kInitialWindowSize, 0x7fffffff);
  for (const uint32_t size : {kWindowSign - 1, kWindowSign + 1, kWindowSign + 65'536, 0u}) {
    WindowLimit limit;
    EXPECT_EQ(Limited(limit, large, 1), large);
    Limited(limit, Entry(kMaxHeaderListSize, size), 1);
    EXPECT_EQ(Limited(limit, large, 1), large) << size;
  }
  WindowLimit limit;
  Limited(limit, Entry(kHeaderTableSize, kWindowSign) + Entry(kInitialWindowSize, kWindowSign), 6);
  EXPECT_EQ(Limited(limit, large, 1), large);
}

TEST_F(WindowLimitTest, LowersWindowsWhateverThePiecesAre) {
  const std::vector<uint32_t> windows = {0,          1,          255,       65'535,     kMost - 1,
                                         kMost,      kMost + 1,  8'388'863, 0x00ff0000, 0x01000000,
                                         0x007fff00, 0x00800000, 0x7fffffff};
  for (const size_t piece_bytes : {1, 2, 3, 4, 5, 6, 7, 1000}) {
    for (const uint32_t window : windows) {
      EXPECT_EQ(Limited(limit_, Entry(kInitialWindowSize, window), piece_bytes),
                Entry(kInitialWindowSize, std::min(window, kMost)))
          << window << " in pieces of " << piece_bytes;
    }
  }
}

TEST_F(WindowLimitTest, LeavesOtherSettingsAlone) {
  const std::string others = Entry(kHeaderTableSize, 0x7fffffff) + Entry(0x0404, 0x01020304) +
                             Entry(0xfe03, 1) + Entry(0x0400, 0xffffffff);
  for (const size_t piece_bytes : {1, 5, 1000}) {
    EXPECT_EQ(Limited(limit_, others + Entry(kInitialWindowSize, 1 << 30) + others, piece_bytes),
              others + Entry(kInitialWindowSize, kMost) + others);
  }
}

TEST_F(WindowLimitTest, AWindowThatHttpDoesNotAllowIsGrpcsToRefuse) {
  const std::string invalid = Entry(kInitialWindowSize, 0x80000000);
  EXPECT_EQ(Limited(limit_, invalid, 1), invalid);
  EXPECT_EQ(Limited(limit_, Entry(kInitialWindowSize, kMost + 1), 1),
            Entry(kInitialWindowSize, kMost));
}

TEST_F(WindowLimitTest, AFrameThatBreaksOffWithinAnEntryDoesNotShiftTheNext) {
  Limited(limit_, Entry(kInitialWindowSize, 1).substr(0, 4), 1);
  EXPECT_EQ(Limited(limit_, Entry(kInitialWindowSize, 1 << 24), 1),
            Entry(kInitialWindowSize, kMost));
}

}  // namespace
}  // namespace tensord
