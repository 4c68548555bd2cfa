#include "tensord/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tensord {
namespace {

TEST(Dtype, EveryNameReadsBackToItself) {
  std::set<std::string> names;
  for (int i = 0; i < kNumDtypes; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    EXPECT_EQ(ParseDtype(DtypeName(dtype)), dtype) << DtypeName(dtype);
    names.insert(std::string(DtypeName(dtype)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kNumDtypes));
}

TEST(Dtype, SubByteTypesHaveTheirWidth) {
  EXPECT_EQ(BitsPerElement(Dtype::kF4), 4u);
  EXPECT_EQ(BitsPerElement(Dtype::kF6E2M3), 6u);
  EXPECT_EQ(BitsPerElement(Dtype::kF6E3M2), 6u);
  EXPECT_EQ(BitsPerElement(Dtype::kC64), 64u);
  EXPECT_EQ(BitsPerElement(Dtype::kBool), 8u);
}

TEST(Dtype, NamesAreExactAndCaseSensitive) {
  EXPECT_EQ(ParseDtype("f32"), std::nullopt);
  EXPECT_EQ(ParseDtype("F32 "), std::nullopt);
  EXPECT_EQ(ParseDtype(""), std::nullopt);
  EXPECT_EQ(ParseDtype("F8_E4M3FN"), std::nullopt);
  EXPECT_EQ(ParseDtype(std::string("\0F32", 4)), std::nullopt);
}

}  // namespace
}  // namespace tensord
