#include "src/file_closer.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace tensord {
namespace {

TEST(FileCloser, ClosesWhereAFileIsDroppedWhileNobodyElseDoes) {
  FileCloser closer;
  bool is_closed = false;
  closer.Close({1, 2}, [&] { is_closed = true; });
  EXPECT_TRUE(is_closed);
}

TEST(FileCloser, HandsWhatIsClosedToWhoeverWaitsForIt) {
  FileCloser closer;
  std::vector<std::pair<FilePlace, std::function<void()>>> posted;
  closer.SetPost([&](const FilePlace& place, std::function<void()> close) {
    posted.emplace_back(place, std::move(close));
  });
  bool is_closed = false;
  closer.Close({1, 2}, [&] { is_closed = true; });
  EXPECT_FALSE(is_closed);
  ASSERT_EQ(posted.size(), 1u);
  EXPECT_EQ(posted[0].first, (FilePlace{1, 2}));
  posted[0].second();
  EXPECT_TRUE(is_closed);

  closer.SetPost(nullptr);
  is_closed = false;
  closer.Close({1, 2}, [&] { is_closed = true; });
  EXPECT_TRUE(is_closed);
}

}  // namespace
}  // namespace tensord
