#include "client/uncached_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace tensord {
namespace {

constexpr std::byte kUntouched{0xee};

std::string Counting(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

TEST(UncachedCopy, CopiesEachByteAndNoOtherAtEveryAlignment) {
  const std::string source = Counting(400);
  for (size_t to = 0; to < 64; ++to) {
    for (const size_t from : {0, 1, 9, 63}) {
      for (const size_t size : {0, 1, 15, 63, 64, 65, 127, 128, 200, 300}) {
        std::vector<std::byte> memory(512, kUntouched);
        CopyUncached(memory.data() + to, source.data() + from, size);
        const auto* const expected = reinterpret_cast<const std::byte*>(source.data() + from);
        ASSERT_TRUE(std::equal(expected, expected + size, memory.data() + to)) << to << " " << size;
        const auto untouched = [](std::byte byte) { return byte == kUntouched; };
        ASSERT_TRUE(std::all_of(memory.data(), memory.data() + to, untouched));
        ASSERT_TRUE(std::all_of(memory.data() + to + size, memory.data() + 512, untouched));
      }
    }
  }
}

TEST(UncachedCopy, AnotherThreadSeesIt) {
  const std::string source = Counting(kUncachedBytes + 100);
  std::vector<std::byte> memory(source.size());
  std::thread([&] { CopyUncached(memory.data(), source.data(), source.size()); }).join();
  EXPECT_EQ(0, memcmp(memory.data(), source.data(), source.size()));
}

}  // namespace
}  // namespace tensord
