#include "server/tensor_service.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "server/chunk_options.h"
#include "src/error.h"
#include "tensord/error_reason.h"
#include "tests/temp_dir.h"
#include "tests/testing/received_stream.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/test_server.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string RandomBytes(size_t size, uint32_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, &bytes[i]);
  }
  return bytes;
}

// The model `m`: a large matrix, a scalar, an empty tensor, twelve small ones.
class TensorServiceTest : public testing::Test {
 protected:
  static constexpr uint64_t kRows = 1000;
  static constexpr uint64_t kColumns = 1024;

  TensorServiceTest() {
    tensors_.push_back(
        {"big", Dtype::kF32, {kRows, kColumns}, RandomBytes(kRows * kColumns * 4, 1)});
    tensors_.push_back({"scalar", Dtype::kF32, {}, RandomBytes(8, 2).substr(0, 4)});
    tensors_.push_back({"empty", Dtype::kI8, {0, 3}, ""});
    for (int i = 0; i < 12; ++i) {
      tensors_.push_back(
          {absl::StrCat("layers.", i, ".w"), Dtype::kU8, {16, 4}, RandomBytes(64, 3 + i)});
    }
    WriteSafetensors(dir_.Path("m.safetensors"), tensors_, {{{"k", "v"}}});
    dir_.Write("config.json", "{\"a\": 1}");
    server_ = std::make_unique<TestServer>(dir_.path());
  }

  const std::string& Bytes(const std::string& name) const {
    for (const TestTensor& tensor : tensors_) {
      if (tensor.name == name) return tensor.bytes;
    }
    ADD_FAILURE() << name;
    return tensors_.front().bytes;
  }

  ReceivedStream Get(const v1::GetTensorRequest& request) {
    grpc::ClientContext context;
    return Receive(context, server_->stub().GetTensor(&context, request), request.checksum());
  }
  ReceivedStream Get(const v1::GetSliceRequest& request) {
    grpc::ClientContext context;
    return Receive(context, server_->stub().GetSlice(&context, request), request.checksum());
  }
  ReceivedStream Get(const v1::GetTensorsRequest& request) {
    grpc::ClientContext context;
    return Receive(context, server_->stub().GetTensors(&context, request), request.checksum());
  }

  static v1::GetTensorRequest Tensor(const std::string& name) {
    v1::GetTensorRequest request;
    request.set_model("m");
    request.set_tensor(name);
    return request;
  }
  static v1::GetSliceRequest Slice(const std::string& name, const std::string& slice) {
    v1::GetSliceRequest request;
    request.set_model("m");
    request.set_tensor(name);
    request.set_slice(slice);
    return request;
  }
  static v1::GetTensorsRequest Batch(const std::vector<std::string>& names) {
    v1::GetTensorsRequest request;
    request.set_model("m");
    for (const std::string& name : names) request.add_selections()->set_tensor(name);
    return request;
  }
  static v1::GetTensorsRequest Pattern(const std::string& pattern) {
    v1::GetTensorsRequest request;
    request.set_model("m");
    request.add_selections()->set_pattern(pattern);
    return request;
  }

  // Rows `first` to `last` and columns likewise of `big`.
  std::string Block(uint64_t first_row, uint64_t last_row, uint64_t first, uint64_t last) const {
    std::string block;
    for (uint64_t row = first_row; row < last_row; ++row) {
      block += Bytes("big").substr((row * kColumns + first) * 4, (last - first) * 4);
    }
    return block;
  }

  TempDir dir_;
  std::vector<TestTensor> tensors_;
  std::unique_ptr<TestServer> server_;
};

// ---- Single results ----

TEST_F(TensorServiceTest, WholeTensorComesInChunksOfOneMebibyte) {
  const ReceivedStream got = Get(Tensor("big"));
  ASSERT_EQ(got.status, absl::OkStatus());
  ASSERT_EQ(got.results.size(), 1);
  EXPECT_TRUE(got.results[0].data == Bytes("big"));
  EXPECT_EQ(got.num_messages, 4);
  EXPECT_EQ(got.info.model(), "m");
  EXPECT_EQ(got.info.num_results(), 1);
  EXPECT_EQ(got.info.size_bytes(), kRows * kColumns * 4);
  EXPECT_FALSE(got.info.version().empty());
  EXPECT_EQ(got.results[0].header.dtype(), "F32");
  EXPECT_THAT(got.results[0].header.shape(), ElementsAre(kRows, kColumns));
  EXPECT_EQ(got.results[0].header.size_bytes(), kRows * kColumns * 4);
  EXPECT_EQ(got.results[0].header.tensor(), "big");
  EXPECT_EQ(got.bytes_sent, kRows * kColumns * 4);
  EXPECT_EQ(got.bytes_read, kRows * kColumns * 4);
}

TEST_F(TensorServiceTest, ScalarAndEmptyTensorAreOnePartWithAHeader) {
  const ReceivedStream scalar = Get(Tensor("scalar"));
  ASSERT_EQ(scalar.status, absl::OkStatus());
  EXPECT_EQ(scalar.results.at(0).data, Bytes("scalar"));
  EXPECT_EQ(scalar.results[0].header.shape_size(), 0);
  const ReceivedStream empty = Get(Tensor("empty"));
  ASSERT_EQ(empty.status, absl::OkStatus());
  EXPECT_EQ(empty.results.at(0).data, "");
  EXPECT_EQ(empty.results[0].num_parts, 1);
  EXPECT_THAT(empty.results[0].header.shape(), ElementsAre(0, 3));
}

struct RangeRow {
  const char* name;
  uint64_t offset;
  std::optional<uint64_t> length;
  uint64_t wanted_bytes;
};

class Range : public TensorServiceTest, public testing::WithParamInterface<RangeRow> {};

TEST_P(Range, IsCutOutOfTheResult) {
  v1::GetTensorRequest request = Tensor("big");
  request.mutable_range()->set_offset(GetParam().offset);
  if (GetParam().length) request.mutable_range()->set_length(*GetParam().length);
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  ASSERT_EQ(got.results.size(), 1);
  EXPECT_EQ(got.results[0].begin, GetParam().offset);
  EXPECT_EQ(got.results[0].data.size(), GetParam().wanted_bytes);
  EXPECT_TRUE(got.results[0].data ==
              Bytes("big").substr(GetParam().offset, GetParam().wanted_bytes));
  EXPECT_EQ(got.results[0].header.size_bytes(), 4096000) << "the size is the whole result's";
  EXPECT_EQ(got.info.size_bytes(), GetParam().wanted_bytes);
}

INSTANTIATE_TEST_SUITE_P(
    TensorServiceTest, Range,
    testing::Values(RangeRow{"All", 0, 4096000, 4096000}, RangeRow{"ToTheEnd", 4095999, {}, 1},
                    RangeRow{"OddMiddle", 1234567, 100001, 100001},
                    RangeRow{"SmallMiddle", 3, 5, 5}, RangeRow{"EmptyAtTheStart", 0, 0, 0},
                    RangeRow{"EmptyAtTheEnd", 4096000, {}, 0},
                    RangeRow{"BeyondOneChunk", 1, 1048577, 1048577}),
    [](const testing::TestParamInfo<RangeRow>& row) { return row.param.name; });

TEST_F(TensorServiceTest, SliceIsDense) {
  const ReceivedStream got = Get(Slice("big", "[10:500, 32:96]"));
  ASSERT_EQ(got.status, absl::OkStatus());
  EXPECT_THAT(got.results.at(0).header.shape(), ElementsAre(490, 64));
  EXPECT_TRUE(got.results[0].data == Block(10, 500, 32, 96));
  EXPECT_GE(got.bytes_read, got.bytes_sent);
}

TEST_F(TensorServiceTest, SliceWithLongRunsIsSentFromTheMapping) {
  v1::GetSliceRequest request = Slice("big", "");
  v1::DimRanges& ranges = *request.mutable_dims()->add_dims()->mutable_ranges();
  const std::vector<std::pair<int, int>> wanted = {{0, 100}, {700, 701}, {703, 704}, {200, 500}};
  std::string block;
  for (const auto& [first, last] : wanted) {
    v1::DimRange& range = *ranges.add_ranges();
    range.set_start(first);
    range.set_stop(last);
    block += Block(first, last, 0, kColumns);
  }
  for (const bool checksum : {false, true}) {
    request.set_checksum(checksum);
    const ReceivedStream got = Get(request);
    ASSERT_EQ(got.status, absl::OkStatus());
    EXPECT_TRUE(got.results.at(0).data == block);
  }
}

TEST_F(TensorServiceTest, RangeOfASliceContinuesInTheMiddleOfAnElement) {
  const std::string whole = Block(0, 1000, 5, 7);
  std::string pieces;
  for (uint64_t offset = 0; offset < whole.size(); offset += 1501) {
    v1::GetSliceRequest request = Slice("big", "[:, 5:7]");
    request.mutable_range()->set_offset(offset);
    request.mutable_range()->set_length(std::min<uint64_t>(1501, whole.size() - offset));
    const ReceivedStream got = Get(request);
    ASSERT_EQ(got.status, absl::OkStatus());
    pieces += got.results.at(0).data;
  }
  EXPECT_TRUE(pieces == whole);
}

TEST_F(TensorServiceTest, ChecksumIsOnEveryPart) {
  v1::GetTensorsRequest request = Pattern("*");
  request.set_checksum(true);
  request.set_chunk_bytes(kMinChunkBytes);
  EXPECT_EQ(Get(request).status, absl::OkStatus());  // Receive compares them.
}

struct ChunkRow {
  const char* name;
  uint32_t chunk_bytes;
  size_t num_messages;  // Of 4,096,000 bytes.
};

class ChunkBytes : public TensorServiceTest, public testing::WithParamInterface<ChunkRow> {};

TEST_P(ChunkBytes, IsClamped) {
  v1::GetTensorRequest request = Tensor("big");
  request.set_chunk_bytes(GetParam().chunk_bytes);
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  EXPECT_EQ(got.num_messages, GetParam().num_messages);
  EXPECT_TRUE(got.results.at(0).data == Bytes("big"));
  EXPECT_LT(got.largest_message, 4 << 20);
}

INSTANTIATE_TEST_SUITE_P(TensorServiceTest, ChunkBytes,
                         testing::Values(ChunkRow{"Default", 0, 4}, ChunkRow{"TooSmall", 1, 63},
                                         ChunkRow{"Odd", 1000001, 5},
                                         ChunkRow{"TooLarge", 1u << 31, 1}),
                         [](const testing::TestParamInfo<ChunkRow>& row) {
                           return row.param.name;
                         });

// ---- Batches ----

TEST_F(TensorServiceTest, PatternExpandsInNaturalOrder) {
  v1::GetTensorsRequest request = Pattern("layers.*.w");
  request.set_order(v1::RESULT_ORDER_REQUEST);
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  ASSERT_EQ(got.results.size(), 12);
  for (uint32_t i = 0; i < 12; ++i) {
    EXPECT_EQ(got.results[i].result, i);
    EXPECT_EQ(got.results[i].header.tensor(), absl::StrCat("layers.", i, ".w"));
    EXPECT_EQ(got.results[i].header.selection(), 0);
    EXPECT_EQ(got.results[i].data, Bytes(absl::StrCat("layers.", i, ".w")));
  }
}

TEST_F(TensorServiceTest, SmallResultsShareOneMessage) {
  const ReceivedStream got = Get(Pattern("layers.*"));
  EXPECT_EQ(got.num_messages, 1);
  EXPECT_EQ(got.results.size(), 12);
}

TEST_F(TensorServiceTest, FileOrderKeepsTheNumbersOfTheRequest) {
  // The file holds dtypes in the order given above: big stands first.
  const ReceivedStream got = Get(Batch({"layers.3.w", "scalar", "big", "layers.3.w"}));
  ASSERT_EQ(got.status, absl::OkStatus());
  std::vector<uint32_t> numbers;
  for (const ReceivedResult& result : got.results) {
    numbers.push_back(result.result);
    EXPECT_EQ(result.header.selection(), result.result);
    EXPECT_TRUE(result.data == Bytes(result.header.tensor()));
  }
  EXPECT_THAT(numbers, ElementsAre(2, 1, 0, 3));
}

TEST_F(TensorServiceTest, RequestOrderIsTheRequests) {
  v1::GetTensorsRequest request = Batch({"layers.3.w", "scalar", "big", "layers.3.w"});
  request.set_order(v1::RESULT_ORDER_REQUEST);
  std::vector<uint32_t> numbers;
  for (const ReceivedResult& result : Get(request).results) numbers.push_back(result.result);
  EXPECT_THAT(numbers, ElementsAre(0, 1, 2, 3));
}

TEST_F(TensorServiceTest, SelectionsMixSlicesAndRangesAndPatterns) {
  v1::GetTensorsRequest request;
  request.set_model("m");
  v1::Selection* selection = request.add_selections();
  selection->set_pattern("layers.{1..2}.w");
  selection->set_slice("[3]");
  selection = request.add_selections();
  selection->set_tensor("big");
  selection->mutable_range()->set_offset(10);
  selection->mutable_range()->set_length(200000);
  selection = request.add_selections();
  selection->set_tensor("big");
  selection->mutable_dims()->add_dims()->set_index(-1);
  request.set_order(v1::RESULT_ORDER_REQUEST);
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  ASSERT_EQ(got.results.size(), 4);
  EXPECT_EQ(got.results[0].data, Bytes("layers.1.w").substr(12, 4));
  EXPECT_EQ(got.results[1].data, Bytes("layers.2.w").substr(12, 4));
  EXPECT_EQ(got.results[2].header.selection(), 1);
  EXPECT_TRUE(got.results[2].data == Bytes("big").substr(10, 200000));
  EXPECT_EQ(got.results[3].header.selection(), 2);
  EXPECT_TRUE(got.results[3].data == Block(999, 1000, 0, kColumns));
  EXPECT_EQ(got.info.size_bytes(), 4 + 4 + 200000 + 4096);
}

TEST_F(TensorServiceTest, PlanOnlySendsHeadersWithoutData) {
  v1::GetTensorsRequest request = Pattern("*");
  request.set_plan_only(true);
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  EXPECT_EQ(got.results.size(), tensors_.size());
  EXPECT_EQ(got.bytes_sent, 0);
  EXPECT_EQ(got.info.size_bytes(), 4096000 + 4 + 12 * 64) << "what would be sent";
  EXPECT_EQ(got.ByName().at("big").header.size_bytes(), 4096000);
  for (const ReceivedResult& result : got.results) EXPECT_EQ(result.data, "");
}

TEST_F(TensorServiceTest, NoSelectionsAreAnEmptyStreamWithItsInfo) {
  const ReceivedStream got = Get(Batch({}));
  EXPECT_EQ(got.status, absl::OkStatus());
  EXPECT_EQ(got.num_messages, 1);
  EXPECT_EQ(got.info.model(), "m");
  EXPECT_EQ(got.info.num_results(), 0);
}

TEST_F(TensorServiceTest, AHundredAndTwentyThousandResults) {
  v1::GetTensorsRequest request = Batch({});
  for (int i = 0; i < 120000; ++i) {
    request.add_selections()->set_tensor(absl::StrCat("layers.", i % 12, ".w"));
  }
  request.set_order(v1::RESULT_ORDER_REQUEST);
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  ASSERT_EQ(got.results.size(), 120000);
  for (size_t i = 0; i < got.results.size(); ++i) {
    ASSERT_EQ(got.results[i].result, i);
    ASSERT_EQ(got.results[i].data, tensors_[3 + i % 12].bytes);
  }
  EXPECT_LT(got.num_messages, 30) << "small results share messages";
}

// ---- Errors before the first byte ----

struct ErrorRow {
  const char* name;
  v1::GetTensorsRequest request;
  ErrorReason reason;
  const char* message;
};

v1::GetTensorsRequest Request(const std::string& text) {
  v1::GetTensorsRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

class BadBatch : public TensorServiceTest, public testing::WithParamInterface<ErrorRow> {};

TEST_P(BadBatch, IsRefusedBeforeAnyByte) {
  const ReceivedStream got = Get(GetParam().request);
  EXPECT_EQ(ReasonOf(got.status), GetParam().reason) << got.status;
  EXPECT_EQ(got.status.code(), CodeOf(GetParam().reason));
  EXPECT_THAT(std::string(got.status.message()), HasSubstr(GetParam().message));
  EXPECT_EQ(got.num_messages, 0);
}

INSTANTIATE_TEST_SUITE_P(
    TensorServiceTest, BadBatch,
    testing::Values(
        ErrorRow{"UnknownModel", Request("model: 'x'"), ErrorReason::kModelNotFound, "\"x\""},
        ErrorRow{"OtherVersion", Request("model: 'm' version: 'x'"), ErrorReason::kVersionChanged,
                 "wanted \"x\""},
        ErrorRow{"UnknownTensor",
                 Request("model: 'm' selections { tensor: 'big' } selections { tensor: 'bgi' }"),
                 ErrorReason::kTensorNotFound, "selection 1: "},
        ErrorRow{"PatternWithoutMatch", Request("model: 'm' selections { pattern: 'z*' }"),
                 ErrorReason::kTensorNotFound, "selection 0: no tensor"},
        ErrorRow{"MalformedPattern", Request("model: 'm' selections { pattern: '{a' }"),
                 ErrorReason::kBadRequest, "selection 0: "},
        ErrorRow{"NoTarget", Request("model: 'm' selections { slice: '[0]' }"),
                 ErrorReason::kBadRequest, "selection 0: neither tensor nor pattern"},
        ErrorRow{"MalformedSlice", Request("model: 'm' selections { tensor: 'big' slice: '[0' }"),
                 ErrorReason::kBadSlice, "selection 0: "},
        ErrorRow{"TooManyIndices",
                 Request("model: 'm' selections { tensor: 'big' slice: '[0,0,0]' }"),
                 ErrorReason::kBadSlice, "selection 0: tensor \"big\": "},
        ErrorRow{"EmptyDim", Request("model: 'm' selections { tensor: 'big' dims { dims { } } }"),
                 ErrorReason::kBadSlice, "selection 0: "},
        ErrorRow{"IndexOut", Request("model: 'm' selections { tensor: 'big' slice: '[1000]' }"),
                 ErrorReason::kIndexOutOfBounds, "tensor \"big\": index 1000"},
        ErrorRow{
            "UnevenShard",
            Request("model: 'm' selections { tensor: 'big' dims { dims { shard { count: 3 } } } }"),
            ErrorReason::kUnevenShard, "1000"},
        ErrorRow{"RangeBeyond",
                 Request("model: 'm' selections { tensor: 'big' range { offset: 4096001 } }"),
                 ErrorReason::kRangeOutOfBounds, "selection 0: tensor \"big\": "},
        ErrorRow{"RangeThatWraps",
                 Request("model: 'm' selections { tensor: 'big' range { offset: 1 length: "
                         "18446744073709551615 } }"),
                 ErrorReason::kRangeOutOfBounds, "4096000"}),
    [](const testing::TestParamInfo<ErrorRow>& row) { return row.param.name; });

TEST_F(TensorServiceTest, SingleCallsNameTensorAndNoSelection) {
  EXPECT_THAT(std::string(Get(Tensor("bgi")).status.message()),
              StartsWith("tensor \"bgi\" not in model \"m\""));
  EXPECT_THAT(std::string(Get(Slice("big", "[1000]")).status.message()),
              StartsWith("tensor \"big\": index 1000"));
}

TEST_F(TensorServiceTest, UnknownFieldIsRefusedByEveryStream) {
  v1::GetTensorRequest tensor = Tensor("big");
  tensor.GetReflection()->MutableUnknownFields(&tensor)->AddVarint(99, 1);
  EXPECT_EQ(ReasonOf(Get(tensor).status), ErrorReason::kUnknownField);
  v1::GetSliceRequest slice = Slice("big", "[0]");
  slice.GetReflection()->MutableUnknownFields(&slice)->AddVarint(99, 1);
  EXPECT_EQ(ReasonOf(Get(slice).status), ErrorReason::kUnknownField);
  v1::GetTensorsRequest batch = Batch({"big"});
  batch.mutable_selections(0)
      ->GetReflection()
      ->MutableUnknownFields(batch.mutable_selections(0))
      ->AddVarint(99, 1);
  const absl::Status status = Get(batch).status;
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnknownField);
  EXPECT_THAT(std::string(status.message()), HasSubstr("selections[0]"));
}

TEST_F(TensorServiceTest, MoreResultsThanTheLimitAreRefused) {
  v1::GetTensorsRequest request = Batch({});
  const size_t selections = (size_t{1} << 20) / 12 + 1;
  for (size_t i = 0; i < selections; ++i) request.add_selections()->set_pattern("l*");
  const absl::Status status = Get(request).status;
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadRequest);
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 1048576 results"));
}

TEST_F(TensorServiceTest, PatternsThatCostTooMuchAreRefused) {
  std::vector<TestTensor> many;
  for (int i = 0; i < 20000; ++i) many.push_back({absl::StrCat("t", i), Dtype::kU8, {1}, "x"});
  WriteSafetensors(dir_.Path("many.safetensors"), many);
  server_->Reload();
  v1::GetTensorsRequest request;
  request.set_model("many");
  for (int i = 0; i < 1000; ++i) {
    request.add_selections()->set_pattern(absl::StrCat("t", i, "{", std::string(100, '?'), ",}"));
  }
  const absl::Status status = Get(request).status;
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadRequest);
  EXPECT_THAT(std::string(status.message()), HasSubstr("too many patterns"));
}

TEST_F(TensorServiceTest, StoreThatIsStillScannedIsUnavailable) {
  server_->catalog().Swap(nullptr);
  EXPECT_EQ(ReasonOf(Get(Tensor("big")).status), ErrorReason::kStarting);
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  const grpc::Status status =
      server_->stub().ListModels(&context, v1::ListModelsRequest(), &response);
  EXPECT_EQ(ReasonOf(FromGrpc(status)), ErrorReason::kStarting);
}

// ---- Files that change ----

TEST_F(TensorServiceTest, TruncatedFileFailsItsResultsAndTheOthersGoOn) {
  WriteSafetensors(dir_.Path("two-00001-of-00002.safetensors"),
                   {{"a", Dtype::kU8, {300000}, RandomBytes(300000, 7)},
                    {"a2", Dtype::kU8, {10}, "0123456789"}});
  WriteSafetensors(dir_.Path("two-00002-of-00002.safetensors"),
                   {{"b", Dtype::kU8, {200000}, RandomBytes(200000, 8)}});
  server_->Reload();
  v1::GetTensorsRequest request;
  request.set_model("two");
  request.add_selections()->set_pattern("*");
  ASSERT_EQ(Get(request).status, absl::OkStatus());  // All files are open now.
  std::filesystem::resize_file(dir_.Path("two-00001-of-00002.safetensors"), 1000);
  const ReceivedStream got = Get(request);
  EXPECT_EQ(ReasonOf(got.status), ErrorReason::kFileChanged) << got.status;
  EXPECT_EQ(got.status.code(), absl::StatusCode::kDataLoss);
  const auto results = got.ByName();
  ASSERT_EQ(results.size(), 3);
  for (const char* name : {"a", "a2"}) {
    ASSERT_TRUE(results.at(name).error) << name;
    EXPECT_EQ(results.at(name).error->reason(), v1::FILE_CHANGED);
    EXPECT_EQ(results.at(name).error->code(), grpc::StatusCode::DATA_LOSS);
    EXPECT_THAT(results.at(name).error->message(), HasSubstr("two-00001-of-00002.safetensors"));
  }
  EXPECT_FALSE(results.at("b").error);
  EXPECT_TRUE(results.at("b").data == RandomBytes(200000, 8));
}

TEST_F(TensorServiceTest, TruncatedFileEndsASingleCallWithDataLoss) {
  ASSERT_EQ(Get(Tensor("big")).status, absl::OkStatus());
  std::filesystem::resize_file(dir_.Path("m.safetensors"), 5000);
  EXPECT_EQ(ReasonOf(Get(Tensor("big")).status), ErrorReason::kFileChanged);
  EXPECT_EQ(ReasonOf(Get(Slice("big", "[:, 0]")).status), ErrorReason::kFileChanged);
}

TEST_F(TensorServiceTest, FileTouchedWhileItIsStreamedIsDataLoss) {
  grpc::ClientContext context;
  auto reader = server_->stub().GetTensor(&context, Tensor("big"));
  v1::TensorChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  std::filesystem::last_write_time(
      dir_.Path("m.safetensors"),
      std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  while (reader->Read(&chunk)) {
  }
  // The server may have been done with its last check; then the bytes were right, and it is OK.
  const absl::Status status = FromGrpc(reader->Finish());
  EXPECT_TRUE(status.ok() || ReasonOf(status) == ErrorReason::kFileChanged) << status;
}

// ---- Concurrency and cancellation ----

TEST_F(TensorServiceTest, TwoStreamsOfOneConnectionDoNotMix) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      for (int turn = 0; turn < 10; ++turn) {
        if (i % 2 == 0) {
          const ReceivedStream got = Get(Tensor("big"));
          EXPECT_EQ(got.status, absl::OkStatus());
          EXPECT_TRUE(got.results.at(0).data == Bytes("big"));
        } else {
          const ReceivedStream got = Get(Slice("big", "[:, 1:999]"));
          EXPECT_EQ(got.status, absl::OkStatus());
          EXPECT_TRUE(got.results.at(0).data == Block(0, kRows, 1, 999));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

bool IsMapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(path) != std::string::npos) return true;
  }
  return false;
}

TEST_F(TensorServiceTest, CancelledStreamLetsGoOfItsFile) {
  const std::string path = dir_.Path("m.safetensors");
  v1::GetTensorsRequest request = Batch(std::vector<std::string>(200, "big"));  // 800 MB.
  grpc::ClientContext context;
  auto reader = server_->stub().GetTensors(&context, request);
  v1::TensorChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_TRUE(IsMapped(path));
  server_->catalog().Swap(nullptr);
  EXPECT_TRUE(IsMapped(path)) << "the stream keeps its snapshot";
  context.TryCancel();
  while (reader->Read(&chunk)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (IsMapped(path) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_FALSE(IsMapped(path));
}

TEST_F(TensorServiceTest, CancelAtRandomMomentsLeavesTheServerWell) {
  std::mt19937 random(11);
  for (int turn = 0; turn < 60; ++turn) {
    grpc::ClientContext context;
    auto reader =
        server_->stub().GetTensors(&context, Batch({"big", "scalar", "big", "layers.1.w", "big"}));
    v1::TensorChunk chunk;
    for (uint32_t reads = random() % 16; reads > 0 && reader->Read(&chunk); --reads) {
    }
    context.TryCancel();
    while (reader->Read(&chunk)) {
    }
    reader->Finish();
  }
  EXPECT_EQ(Get(Tensor("big")).status, absl::OkStatus());
}

// ---- Large files ----

TEST_F(TensorServiceTest, SliceNearTheEndOfASparseFileOfFiveGibibytes) {
  const uint64_t rows = (uint64_t{5} << 30) / 4096;
  const std::string json = absl::StrCat(R"({"t":{"dtype":"F32","shape":[)", rows,
                                        R"(,1024],"data_offsets":[0,)", rows * 4096, "]}}");
  const std::string path = dir_.Write("sparse.safetensors", FileOf(json, ""));
  const uint64_t data = 8 + json.size();
  std::filesystem::resize_file(path, data + rows * 4096);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(data + (rows - 3) * 4096 + 40));
    file << "near the end";
  }
  server_->Reload();
  v1::GetSliceRequest request;
  request.set_model("sparse");
  request.set_tensor("t");
  request.set_slice("[-4:, 8:16]");
  const ReceivedStream got = Get(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  std::string wanted(4 * 32, '\0');
  wanted.replace(32 + 8, 12, "near the end");
  EXPECT_EQ(got.results.at(0).data, wanted);

  v1::GetTensorRequest range;
  range.set_model("sparse");
  range.set_tensor("t");
  range.mutable_range()->set_offset((rows - 3) * 4096 + 40);
  const ReceivedStream tail = Get(range);
  ASSERT_EQ(tail.status, absl::OkStatus());
  EXPECT_EQ(tail.results.at(0).data.substr(0, 12), "near the end");
  EXPECT_EQ(tail.results[0].data.size(), 3 * 4096 - 40);
}

// ---- The other calls, once through the network ----

TEST_F(TensorServiceTest, UnaryCallsAnswer) {
  grpc::ClientContext c1, c2, c3, c4;
  v1::ListModelsResponse models;
  ASSERT_TRUE(server_->stub().ListModels(&c1, v1::ListModelsRequest(), &models).ok());
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).id(), "m");
  v1::ListTensorsRequest list;
  list.set_model("m");
  v1::ListTensorsResponse listed;
  ASSERT_TRUE(server_->stub().ListTensors(&c2, list, &listed).ok());
  EXPECT_EQ(listed.tensors_size(), static_cast<int>(tensors_.size()));
  v1::GetMetadataRequest metadata;
  metadata.set_model("m");
  v1::GetMetadataResponse described;
  ASSERT_TRUE(server_->stub().GetMetadata(&c3, metadata, &described).ok());
  EXPECT_EQ(described.files(0).metadata().entries(0).value(), "v");
  v1::PeekTensorRequest peek;
  peek.set_model("m");
  peek.set_tensor("layers.0.w");
  v1::PeekTensorResponse values;
  ASSERT_TRUE(server_->stub().PeekTensor(&c4, peek, &values).ok());
  EXPECT_EQ(values.uints(0), static_cast<uint8_t>(Bytes("layers.0.w")[0]));
}

TEST_F(TensorServiceTest, UnaryErrorsCarryTheirReason) {
  grpc::ClientContext context;
  v1::ListTensorsRequest request;
  request.set_model("nope");
  v1::ListTensorsResponse response;
  const absl::Status status = FromGrpc(server_->stub().ListTensors(&context, request, &response));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kModelNotFound);
}

}  // namespace
}  // namespace tensord
