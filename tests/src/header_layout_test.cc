#include "src/header_layout.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/header_rows.h"

namespace tensord {
namespace {

class BadLayout : public testing::TestWithParam<RejectedRow> {};

TEST_P(BadLayout, NamesVariantAndReason) { ExpectRejected(GetParam()); }

std::string ManyAt(int num_tensors, const std::string& offsets) {
  std::string json = "{";
  for (int i = 0; i < num_tensors; ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"t", i, "\":{\"dtype\":\"F32\",\"shape\":[2,2],",
                    "\"data_offsets\":", offsets, "}");
  }
  return json + "}";
}

// Their end plus the header's size wraps 2^64.
std::string EightHugeTensors() {
  constexpr uint64_t kSize = (uint64_t{1} << 61) - 1;
  std::string json = "{";
  for (uint64_t i = 0; i < 8; ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"t", i, R"(":{"dtype":"U8","shape":[)", kSize,
                    R"(],"data_offsets":[)", i * kSize, ",", (i + 1) * kSize, "]}");
  }
  return json + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Layout, BadLayout,
    testing::Values(
        RejectedRow{"FirstNotAtZero", WithOffsets("[1,5]"), 5, "InvalidOffset",
                    R"(tensor "x" begins at 1, wanted 0)"},
        RejectedRow{"Reversed",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[1],"data_offsets":[4,3]}})",
                    5, "InvalidOffset", R"(tensor "y" ends at 3, before it begins at 4)"},
        RejectedRow{"Hole",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})",
                    6, "InvalidOffset", R"(tensor "y" begins at 5, wanted 4)"},
        RejectedRow{"Overlap",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
                    5, "InvalidOffset", R"(tensor "y" begins at 3, wanted 4)"},
        RejectedRow{"TenTensorsInOnePlace", ManyAt(10, "[0,16]"), 16, "InvalidOffset",
                    R"(tensor "t1" begins at 0, wanted 16)"},
        RejectedRow{"ZeroSizedWithinAnother",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                    4, "InvalidOffset", R"(tensor "y" begins at 2, wanted 4)"},
        RejectedRow{"ProductOverflows",
                    R"({"x":{"dtype":"U8","shape":[2,18446744073709551614],"data_offsets":[0,4]}})",
                    4, "ValidationOverflow", R"(tensor "x")"},
        RejectedRow{"BitsOverflow",
                    R"({"x":{"dtype":"U8","shape":[2,9223372036854775807],"data_offsets":[0,4]}})",
                    4, "ValidationOverflow", R"(tensor "x")"},
        RejectedRow{
            "OverflowBeforeZero",
            R"({"x":{"dtype":"U8","shape":[9223372036854775808,4,0],"data_offsets":[0,0]}})", 0,
            "ValidationOverflow", R"(tensor "x")"},
        RejectedRow{"SubByteScalar", R"({"x":{"dtype":"F4","shape":[],"data_offsets":[0,1]}})", 1,
                    "MisalignedSlice", "4 bits"},
        RejectedRow{"SubByteOdd", R"({"x":{"dtype":"F6_E2M3","shape":[3],"data_offsets":[0,3]}})",
                    3, "MisalignedSlice", "18 bits"},
        RejectedRow{
            "OffsetsTooShort", R"({"x":{"dtype":"I32","shape":[2,2],"data_offsets":[0,4]}})", 0,
            "TensorInvalidInfo", "data_offsets of 4 bytes, its dtype I32 and shape need 16"},
        RejectedRow{"OffsetsTooLong", WithOffsets("[0,5]"), 5, "TensorInvalidInfo", "need 4"},
        RejectedRow{"FileTooShort", WithOffsets("[0,4]"), 2, "MetadataIncompleteBuffer",
                    "end at byte 4 of the data section, which has 2 bytes"},
        RejectedRow{"FileTooLong", WithOffsets("[0,4]"), 5, "MetadataIncompleteBuffer",
                    "which has 5 bytes"},
        RejectedRow{"NoTensorsButData", "{}", 1, "MetadataIncompleteBuffer", "which has 1 bytes"},
        RejectedRow{"EarlierTensorIsReported",
                    R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]},)"
                    R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})",
                    10, "TensorInvalidInfo", R"(tensor "a")"},
        RejectedRow{"EightTensorsThatWrapTheSum", EightHugeTensors(), 2, "MetadataIncompleteBuffer",
                    "18446744073709551608 of the data section"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
