#include "server/buffer_budget.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

namespace tensord {
namespace {

constexpr size_t kKiB = 1 << 10;
constexpr size_t kMiB = 1 << 20;
constexpr size_t kLeast = 64 * kKiB;

using Buffer = BufferBudget::Buffer;

std::shared_ptr<BufferBudget> Budget(size_t limit_bytes) {
  auto budget = BufferBudget::Create(limit_bytes);
  EXPECT_TRUE(budget.ok()) << budget.status();
  return *std::move(budget);
}

TEST(BufferBudget, MessageOfAnIdleServerIsAsLargeAsWanted) {
  const auto budget = Budget(64 * kMiB);
  const std::optional<Buffer> buffer = budget->Take(1, 4 * kMiB, kLeast);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->size(), 4 * kMiB);
  std::memset(buffer->data(), 1, buffer->size());
  EXPECT_EQ(budget->used_bytes(), 4 * kMiB);
}

TEST(BufferBudget, MemoryComesBackWithTheBuffer) {
  const auto budget = Budget(4 * kMiB);
  int calls = 0;
  budget->SetListener([&calls] { ++calls; });
  std::optional<Buffer> buffer = budget->Take(1, 100 * kKiB, kLeast);
  Buffer moved = *std::move(buffer);
  buffer.reset();
  EXPECT_EQ(budget->used_bytes(), 100 * kKiB);
  moved.Shrink(10 * kKiB);
  EXPECT_EQ(moved.size(), 10 * kKiB);
  EXPECT_EQ(budget->used_bytes(), 12 * kKiB);  // Whole pages.
  moved = Buffer();
  EXPECT_EQ(budget->used_bytes(), 0u);
  EXPECT_EQ(calls, 2);
}

TEST(BufferBudget, BuffersOutliveTheBudgetsOwner) {
  auto budget = Budget(4 * kMiB);
  std::optional<Buffer> buffer = budget->Take(1, kLeast, kLeast);
  budget.reset();
  std::memset(buffer->data(), 1, buffer->size());
}

TEST(BufferBudget, MessagesShrinkAsItFillsAndNoneIsBelowTheLeast) {
  const auto budget = Budget(64 * kMiB);
  std::vector<Buffer> held;
  size_t last = kMiB;
  for (PeerId peer = 1; peer <= 256; ++peer) {
    std::optional<Buffer> buffer = budget->Take(peer, kMiB, kLeast);
    ASSERT_TRUE(buffer) << peer;
    EXPECT_LE(buffer->size(), last);
    EXPECT_GE(buffer->size(), kLeast);
    last = buffer->size();
    held.push_back(*std::move(buffer));
  }
  EXPECT_EQ(last, kLeast);
  EXPECT_LE(budget->used_bytes(), 64 * kMiB);
}

TEST(BufferBudget, OnePeerLeavesHalfToTheNext) {
  const auto budget = Budget(64 * kMiB);
  std::vector<Buffer> held;
  while (std::optional<Buffer> buffer = budget->Take(1, kMiB, kLeast)) {
    held.push_back(*std::move(buffer));
  }
  EXPECT_GE(budget->used_bytes(), 31 * kMiB);
  EXPECT_LE(budget->used_bytes(), 32 * kMiB);
  EXPECT_GE(held.size(), 128u);  // As many streams as a connection may have.
  // A second one gets as much as the first then leaves, which is a third for each.
  size_t second = 0;
  while (std::optional<Buffer> buffer = budget->Take(2, kMiB, kLeast)) {
    second += buffer->size();
    held.push_back(*std::move(buffer));
  }
  EXPECT_GE(second, 15 * kMiB);
  EXPECT_TRUE(budget->Take(3, kMiB, kLeast));
}

TEST(BufferBudget, FreeMemoryInPiecesGivesSmallerMessages) {
  const auto budget = Budget(4 * kMiB);
  std::vector<Buffer> held;
  for (PeerId peer = 1; peer <= 40; ++peer) {
    if (auto buffer = budget->Take(peer, kLeast, kLeast)) held.push_back(*std::move(buffer));
  }
  std::vector<Buffer> kept;
  for (size_t i = 0; i < held.size(); i += 2) kept.push_back(std::move(held[i]));
  held.clear();
  while (auto buffer = budget->Take(99, 100 * kKiB, kLeast)) held.push_back(*std::move(buffer));
  EXPECT_FALSE(held.empty());
}

// Of the pages from `begin` on, how many the system keeps in memory.
size_t NumResident(const std::byte* begin, size_t size) {
  std::vector<unsigned char> pages(size / 4096);
  EXPECT_EQ(mincore(const_cast<std::byte*>(begin), size, pages.data()), 0);
  return static_cast<size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; }));
}

TEST(BufferBudget, WhatABurstTookGoesBackToTheSystem) {
  const auto budget = Budget(64 * kMiB);
  std::vector<Buffer> burst;
  while (auto buffer = budget->Take(1, kMiB, kLeast)) {
    std::memset(buffer->data(), 1, buffer->size());
    burst.push_back(*std::move(buffer));
  }
  const std::byte* const begin = burst.front().data();
  const size_t size = budget->used_bytes();
  burst.resize(1);
  budget->ReleaseUnused();  // The burst was since the last call.
  EXPECT_EQ(NumResident(begin, size), size / 4096);
  budget->ReleaseUnused();
  EXPECT_EQ(NumResident(begin, size), burst.front().size() / 4096);
  EXPECT_EQ(budget->resident_bytes(), burst.front().size());
  EXPECT_EQ(burst.front().data()[burst.front().size() - 1], std::byte{1});
  burst.clear();
  budget->ReleaseUnused();
  budget->ReleaseUnused();
  EXPECT_EQ(budget->resident_bytes(), 0u);
  const auto buffer = budget->Take(1, kMiB, kLeast);
  std::memset(buffer->data(), 2, buffer->size());
}

TEST(BufferBudget, WhatIsInSteadyUseStays) {
  const auto budget = Budget(4 * kMiB);
  for (int i = 0; i < 3; ++i) {
    budget->Take(1, kLeast, kLeast);  // And returned.
    budget->ReleaseUnused();
    EXPECT_EQ(budget->resident_bytes(), kLeast);
  }
}

TEST(BufferBudget, ManyThreadsGetEachTheirOwn) {
  const auto budget = Budget(8 * kMiB);
  std::vector<std::thread> threads;
  for (PeerId peer = 1; peer <= 4; ++peer) {
    threads.emplace_back([&budget, peer] {
      for (int i = 0; i < 2000; ++i) {
        const std::optional<Buffer> buffer = budget->Take(peer, 300 * kKiB, kLeast);
        if (!buffer) continue;
        auto* const begin = reinterpret_cast<char*>(buffer->data());
        std::memset(begin, static_cast<int>(peer), buffer->size());
        ASSERT_EQ(begin[0], static_cast<char>(peer));
        ASSERT_EQ(begin[buffer->size() - 1], static_cast<char>(peer));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget->used_bytes(), 0u);
}

TEST(BufferBudget, BytesInUseAreNeverGivenBack) {
  const auto budget = Budget(8 * kMiB);
  std::atomic<bool> over = false;
  std::thread releasing([&] {
    while (!over) budget->ReleaseUnused();
  });
  std::vector<std::thread> threads;
  for (PeerId peer = 1; peer <= 3; ++peer) {
    threads.emplace_back([&budget, peer] {
      for (int i = 0; i < 500; ++i) {
        const std::optional<Buffer> buffer = budget->Take(peer, 300 * kKiB, kLeast);
        if (!buffer) continue;
        const auto mine = static_cast<std::byte>(peer);
        std::fill_n(buffer->data(), buffer->size(), mine);
        ASSERT_EQ(std::count(buffer->data(), buffer->data() + buffer->size(), mine),
                  static_cast<std::ptrdiff_t>(buffer->size()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  over = true;
  releasing.join();
}

}  // namespace
}  // namespace tensord
