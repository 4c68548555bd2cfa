#include "src/fault_guard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

namespace tensord {
namespace {

constexpr size_t kPage = 4096;

// Three pages of a file, of which the system has none any more.
class LostPages {
 public:
  LostPages() : file_(std::tmpfile()) {
    EXPECT_EQ(ftruncate(fileno(file_), 3 * kPage), 0);
    data_ =
        static_cast<std::byte*>(mmap(nullptr, 3 * kPage, PROT_READ, MAP_SHARED, fileno(file_), 0));
    EXPECT_EQ(ftruncate(fileno(file_), 0), 0);
  }
  ~LostPages() {
    munmap(data_, 3 * kPage);
    std::fclose(file_);
  }

  absl::Span<const std::byte> span() const { return {data_, 3 * kPage}; }
  int Value(size_t at) const {
    return static_cast<int>(static_cast<volatile std::byte&>(data_[at]));
  }

 private:
  std::FILE* file_;
  std::byte* data_ = nullptr;
};

TEST(FaultGuard, ALostPageBecomesZerosAndPoisonsItsRangeOnly) {
  InstallFaultGuard();
  const LostPages pages;
  const LostPages others;
  const auto range = GuardedRange::Guard(pages.span());
  const auto other = GuardedRange::Guard(others.span());
  ASSERT_TRUE(range && other);
  const uint64_t before = NumGuardedFaults();
  EXPECT_FALSE(range->poisoned());
  EXPECT_EQ(pages.Value(kPage + 7), 0);
  EXPECT_TRUE(range->poisoned());
  EXPECT_FALSE(other->poisoned());
  EXPECT_EQ(pages.Value(3 * kPage - 1), 0) << "the tail went with it";
  EXPECT_EQ(NumGuardedFaults(), before + 1);
  EXPECT_EQ(pages.Value(0), 0) << "pages before it are as they were, here lost too";
  EXPECT_EQ(NumGuardedFaults(), before + 2);
}

TEST(FaultGuard, KeepsErrno) {
  InstallFaultGuard();
  const LostPages pages;
  const auto range = GuardedRange::Guard(pages.span());
  errno = EXDEV;
  EXPECT_EQ(pages.Value(0), 0);
  EXPECT_EQ(errno, EXDEV);
}

TEST(FaultGuard, PoisonReplacesFromTheNextPageOn) {
  const LostPages pages;
  const auto range = GuardedRange::Guard(pages.span());
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->Poison(kPage + 1));
  EXPECT_TRUE(range->poisoned());
  const uint64_t before = NumGuardedFaults();
  EXPECT_EQ(pages.Value(2 * kPage), 0);
  EXPECT_EQ(NumGuardedFaults(), before);
}

TEST(FaultGuard, PoisonBehindTheEndOnlyMarks) {
  const LostPages pages;
  const auto range = GuardedRange::Guard(pages.span());
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->Poison(4 * kPage));
  EXPECT_TRUE(range->poisoned());
}

TEST(FaultGuard, APoisonedSlotIsCleanForItsNextRange) {
  for (int i = 0; i < 3; ++i) {
    const LostPages pages;
    const auto range = GuardedRange::Guard(pages.span());
    ASSERT_TRUE(range);
    EXPECT_FALSE(range->poisoned());
    EXPECT_TRUE(range->Poison(0));
  }
}

TEST(FaultGuard, TheTableHasAnEndAndRoomAgain) {
  const LostPages pages;
  std::vector<GuardedRange> ranges;
  for (;;) {
    auto range = GuardedRange::Guard(pages.span());
    if (!range) break;
    ranges.push_back(*std::move(range));
    ASSERT_LE(ranges.size(), kMaxGuardedRanges);
  }
  EXPECT_GT(ranges.size(), kMaxGuardedRanges / 2);
  ranges.pop_back();
  EXPECT_TRUE(GuardedRange::Guard(pages.span()));
}

using FaultGuardDeathTest = testing::Test;

TEST(FaultGuardDeathTest, AForeignFaultEndsTheProcessAsBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_DFL);
        InstallFaultGuard();
        const LostPages pages;
        pages.Value(0);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST(FaultGuardDeathTest, ASentSignalEndsTheProcessAsBefore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_DFL);
        InstallFaultGuard();
        kill(getpid(), SIGBUS);
        pause();
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST(FaultGuardDeathTest, AForeignFaultGoesToThePreviousHandler) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int, siginfo_t*, void*) { _exit(42); };
        sigaction(SIGBUS, &action, nullptr);
        InstallFaultGuard();
        const LostPages pages;
        pages.Value(0);
      },
      testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace tensord
