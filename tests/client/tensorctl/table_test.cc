#include "client/tensorctl/table.h"

#include <gtest/gtest.h>

namespace tensord::ctl {
namespace {

TEST(Table, AlignsColumnsAndTrimsLines) {
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"NOTE"}});
  table.AddRow({"a", "1.0 KiB", ""});
  table.AddRow({"longer", "9 B", "x"});
  EXPECT_EQ(table.Render(false),
            "NAME       SIZE  NOTE\n"
            "a       1.0 KiB\n"
            "longer      9 B  x\n");
}

TEST(Table, MarksOnlyTheHeaderBold) {
  Table table({{"NAME"}});
  table.AddRow({"a"});
  EXPECT_EQ(table.Render(true), "\x1b[1mNAME\x1b[0m\na\n");
}

TEST(Table, AlignsWideAndCombiningCharacters) {
  Table table({{"A"}, {"B"}});
  table.AddRow({"\u6f22\u5b57", "x"});  // Two wide characters: four columns.
  table.AddRow({"e\u0301tat", "x"});    // A combining accent: four columns.
  table.AddRow({"abcd", "x"});
  EXPECT_EQ(table.Render(false), "A     B\n\u6f22\u5b57  x\ne\u0301tat  x\nabcd  x\n");
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("\u00fc"), 1u);
  EXPECT_EQ(DisplayWidth("\u5b57"), 2u);
  EXPECT_EQ(DisplayWidth("\U0001f600"), 2u);
  EXPECT_EQ(DisplayWidth("\xff\xfe"), 2u);  // Not UTF-8: a column a byte, and no endless loop.
}

}  // namespace
}  // namespace tensord::ctl
