// Reading a request by hand, with protobuf as the oracle.
#include "server/batch_request_view.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "proto/convert.h"
#include "src/error.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

// A request with every field that there is.
v1::GetTensorsRequest FullRequest() {
  v1::GetTensorsRequest request;
  request.set_model("m\xc3\xbcller");
  request.set_version("0123456789abcdef");
  request.set_order(v1::RESULT_ORDER_REQUEST);
  request.set_plan_only(true);
  request.set_chunk_bytes(0xffffffff);
  request.set_checksum(true);
  request.add_selections()->set_tensor("a.b");
  request.add_selections()->set_pattern("layers.*");
  v1::Selection& text = *request.add_selections();
  text.set_tensor("");
  text.set_slice("[0:2]");
  text.mutable_range()->set_offset(uint64_t{1} << 63);
  v1::Selection& dims = *request.add_selections();
  dims.set_tensor("\xe6\xbc\xa2");
  dims.mutable_dims()->add_dims()->mutable_shard()->set_count(8);
  dims.mutable_dims()->add_dims()->set_index(-1);
  dims.mutable_range()->set_length(0);
  *request.add_selections() = dims;
  request.add_selections();
  return request;
}

v1::Selection ToMessage(const SelectionView& view) {
  v1::Selection selection;
  const std::string name(view.name);
  if (view.target == SelectionView::Target::kTensor) selection.set_tensor(name);
  if (view.target == SelectionView::Target::kPattern) selection.set_pattern(name);
  const std::string index(view.index.bytes);
  if (view.index.kind == IndexView::Kind::kText) selection.set_slice(index);
  if (view.index.kind == IndexView::Kind::kDims) {
    EXPECT_TRUE(selection.mutable_dims()->ParseFromString(index));
  }
  if (view.range) selection.mutable_range()->set_offset(view.range->offset);
  if (view.range && view.range->length) selection.mutable_range()->set_length(*view.range->length);
  return selection;
}

v1::GetTensorsRequest ToMessage(const BatchRequestView& view) {
  v1::GetTensorsRequest request;
  request.set_model(std::string(view.model()));
  request.set_version(std::string(view.version()));
  request.set_plan_only(view.plan_only());
  request.set_chunk_bytes(view.chunk_bytes());
  request.set_checksum(view.checksum());
  BatchRequestView::Selections selections = view.selections();
  while (const auto selection = selections.Next())
    *request.add_selections() = ToMessage(*selection);
  return request;
}

// What is read by hand is what protobuf reads, and what is refused by hand may be anything.
bool IsPlainAndSame(const std::string& bytes) {
  const auto view = BatchRequestView::Read(bytes);
  if (!view) return false;
  v1::GetTensorsRequest parsed;
  EXPECT_TRUE(parsed.ParseFromString(bytes));
  EXPECT_TRUE(CheckNoUnknownFields(parsed).ok());
  EXPECT_EQ(view->in_request_order(), parsed.order() == v1::RESULT_ORDER_REQUEST);
  parsed.clear_order();
  EXPECT_EQ(ToMessage(*view).SerializeAsString(), parsed.SerializeAsString());
  return true;
}

TEST(BatchRequestView, ReadsWhatProtobufWrites) {
  EXPECT_TRUE(IsPlainAndSame(FullRequest().SerializeAsString()));
  EXPECT_TRUE(IsPlainAndSame(""));
}

TEST(BatchRequestView, EveryBeginningOfARequestIsReadAsProtobufDoes) {
  const std::string bytes = FullRequest().SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    v1::GetTensorsRequest parsed;
    const std::string beginning = bytes.substr(0, size);
    EXPECT_EQ(IsPlainAndSame(beginning), parsed.ParseFromString(beginning)) << size;
  }
}

TEST(BatchRequestView, RandomChangesAreReadAsProtobufDoesOrLeftToIt) {
  const std::string bytes = FullRequest().SerializeAsString();
  std::mt19937 random(7);
  int num_plain = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string changed = bytes;
    for (size_t k = 0; k <= random() % 3; ++k) {
      const size_t at = random() % changed.size();
      const size_t kind = random() % 4;
      if (kind == 0) changed[at] = static_cast<char>(random());
      if (kind == 1) changed.erase(at, 1);
      if (kind == 2) changed.insert(at, 1, static_cast<char>(random() % 64));
      if (kind == 3) changed += bytes.substr(at % bytes.size());
    }
    num_plain += IsPlainAndSame(changed) ? 1 : 0;
    // Whatever protobuf takes can be planned.
    const auto canonical = CanonicalBatchRequest(changed);
    if (canonical.ok()) {
      EXPECT_TRUE(IsPlainAndSame(*canonical));
    }
  }
  EXPECT_GT(num_plain, 1000);
}

struct OddRow {
  const char* name;
  std::string bytes;
  ErrorReason reason;  // Of the request; unspecified where protobuf takes it.
};

class OddRequests : public testing::TestWithParam<OddRow> {};

TEST_P(OddRequests, AreLeftToProtobuf) {
  EXPECT_FALSE(BatchRequestView::Read(GetParam().bytes).has_value());
  const auto canonical = CanonicalBatchRequest(GetParam().bytes);
  EXPECT_EQ(ReasonOf(canonical.status()), GetParam().reason) << canonical.status();
  if (canonical.ok()) {
    EXPECT_TRUE(IsPlainAndSame(*canonical));
  }
}

using std::string_literals::operator""s;

INSTANTIATE_TEST_SUITE_P(
    BatchRequestView, OddRequests,
    testing::Values(
        OddRow{"UnknownField", "\x78\x01"s, ErrorReason::kUnknownField},
        OddRow{"UnknownFieldOfASelection", "\x1a\x02\x78\x01"s, ErrorReason::kUnknownField},
        OddRow{"UnknownFieldOfARange", "\x1a\x04\x2a\x02\x78\x01"s, ErrorReason::kUnknownField},
        OddRow{"UnknownFieldOfDims", "\x1a\x04\x22\x02\x78\x01"s, ErrorReason::kUnknownField},
        OddRow{"WrongWireType", "\x08\x01"s, ErrorReason::kUnknownField},
        OddRow{"Group", "\x1b\x1c"s, ErrorReason::kUnknownField},
        OddRow{"UnknownOrder", "\x20\x07"s, ErrorReason::kBadRequest},
        OddRow{"NotUtf8", "\x0a\x01\xff"s, ErrorReason::kBadRequest},
        OddRow{"Truncated", "\x0a\x02m"s, ErrorReason::kBadRequest},
        OddRow{"FieldZero", "\x02\x00"s, ErrorReason::kBadRequest},
        OddRow{"EndlessNumber", "\x30" + std::string(10, '\xff') + "\x01",
               ErrorReason::kBadRequest},
        OddRow{"LongTag", "\x8a\x00\x01m"s, ErrorReason::kUnspecified},
        OddRow{"TargetTwice", "\x1a\x06\x0a\x01"s + "a" + "\x0a\x01" + "b",
               ErrorReason::kUnspecified},
        OddRow{"TensorAndPattern", "\x1a\x06\x0a\x01"s + "a" + "\x12\x01" + "b",
               ErrorReason::kUnspecified},
        OddRow{"DimsInTwoPieces", "\x1a\x08\x22\x02\x0a\x00\x22\x02\x0a\x00"s,
               ErrorReason::kUnspecified},
        OddRow{"RangeTwice", "\x1a\x06\x2a\x02\x08\x01\x2a\x00"s, ErrorReason::kUnspecified},
        OddRow{"BoolOfTwo", "\x28\x02"s, ErrorReason::kUnspecified},
        OddRow{"ChunkBytesOf64Bits", "\x30\x80\x80\x80\x80\x80\x01"s, ErrorReason::kUnspecified}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
