#include "client/tensorctl/file_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tensord::ctl {
namespace {

struct NameRow {
  std::string label;
  std::string name;
  bool ok;
};

class FileNameTest : public testing::TestWithParam<NameRow> {};

TEST_P(FileNameTest, StaysBelowItsDirectory) {
  const absl::Status status = CheckFileName(GetParam().name);
  EXPECT_EQ(status.ok(), GetParam().ok) << status;
  EXPECT_EQ(status.code(),
            GetParam().ok ? absl::StatusCode::kOk : absl::StatusCode::kFailedPrecondition);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, FileNameTest,
    testing::Values(NameRow{"Plain", "model.safetensors", true},
                    NameRow{"Nested", "unet/model.safetensors", true},
                    NameRow{"Dots", "..a/b..", true}, NameRow{"Control", "a\x1b", true},
                    NameRow{"Empty", "", false}, NameRow{"Absolute", "/etc/passwd", false},
                    NameRow{"Up", "../x", false}, NameRow{"UpInside", "a/../../x", false},
                    NameRow{"UpAtTheEnd", "a/..", false}, NameRow{"Here", "./x", false},
                    NameRow{"Directory", "a/", false},
                    NameRow{"Nul", std::string("a\0b", 3), false}),
    [](const auto& row) { return row.param.label; });

TEST(FileName, IsEscapedInTheError) {
  EXPECT_THAT(CheckFileName("../\x1b").message(), testing::HasSubstr("\"../\\x1b\""));
}

}  // namespace
}  // namespace tensord::ctl
