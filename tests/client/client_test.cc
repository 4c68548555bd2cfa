// The calls one by one, against a real server and real files.
#include "tensord/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <future>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/client/test_server.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kBigBytes = 24 << 20;

std::string Text(absl::Span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

absl::Span<std::byte> Bytes(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

Slice Parse(absl::string_view text) {
  auto slice = Slice::Parse(text);
  EXPECT_TRUE(slice.ok()) << slice.status();
  return slice.ok() ? *slice : Slice();
}

// Values that betray a byte in the wrong place.
std::string Pattern(uint64_t size) {
  std::string bytes(size, 0);
  uint64_t state = 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

class ClientTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new TestServer;
    big_ = new std::string(Pattern(kBigBytes));
    WriteSafetensors(server_->store().Path("m.safetensors"),
                     {{"big", Dtype::kF32, {1024, kBigBytes / 4096}, *big_},
                      {"matrix", Dtype::kU8, {4, 6}, "abcdefghijklmnopqrstuvwx"},
                      {"scalar", Dtype::kF32, {}, "1234"},
                      {"empty", Dtype::kF32, {0, 3}, ""},
                      {"nibbles", Dtype::kF4, {2, 4}, "wxyz"}},
                     {{{"format", "pt"}, {"long", std::string(3 << 20, 'y')}}});
    WriteSafetensors(server_->store().Path("other.safetensors"), {{"x", Dtype::kU8, {2}, "01"}});
    server_->Start();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete big_;
  }

  static TestServer* server_;
  static std::string* big_;
  Client client_ = server_->Connect();
};

TestServer* ClientTest::server_ = nullptr;
std::string* ClientTest::big_ = nullptr;

TEST_F(ClientTest, ListsModels) {
  const auto models = client_.ListModels();
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->size(), 2);
  EXPECT_EQ((*models)[0].id, "m");
  EXPECT_EQ((*models)[0].num_tensors, 5);
  EXPECT_EQ((*models)[0].state, ModelState::kReady);
  EXPECT_EQ(client_.ListModels("oth*")->size(), 1);
}

TEST_F(ClientTest, ListsTensors) {
  TensorFilter filter;
  filter.pattern = "{matrix,nibbles}";
  filter.order = TensorOrder::kOffset;
  const auto list = client_.ListTensors("m", filter);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->tensors.size(), 2);
  EXPECT_EQ(list->tensors[0].name, "matrix");
  EXPECT_THAT(list->tensors[0].shape, ElementsAre(4, 6));
  filter.dtypes = {Dtype::kF4};
  EXPECT_EQ(client_.ListTensors("m", filter)->tensors.size(), 1);
}

TEST_F(ClientTest, DescribesAModelWithItsMetadata) {
  const auto info = client_.GetMetadata("m");
  ASSERT_TRUE(info.ok()) << info.status();
  ASSERT_EQ(info->files.size(), 1);
  ASSERT_TRUE(info->files[0].metadata.has_value());
  ASSERT_EQ(info->files[0].metadata->size(), 2);
  const MetadataEntry& cut = (*info->files[0].metadata)[1];
  EXPECT_EQ(cut.value.size(), 64 * 1024);
  EXPECT_EQ(cut.value_bytes, 3 << 20);
  EXPECT_FALSE(client_.GetMetadata("other")->files[0].metadata.has_value());
}

TEST_F(ClientTest, ReadsMetadataOfAnySize) {
  MetadataOptions options;
  options.max_value_bytes = UINT64_MAX;
  const auto info = client_.GetMetadata("m", options);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ((*info->files[0].metadata)[1].value, std::string(3 << 20, 'y'));
}

TEST_F(ClientTest, DescribesATensor) {
  const auto info = client_.GetTensorInfo("m", "scalar");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->dtype, Dtype::kF32);
  EXPECT_EQ(info->size_bytes, 4);
}

TEST_F(ClientTest, PeeksAtValues) {
  PeekRequest request;
  request.tensor = "matrix";
  request.slice = Parse("[1, :3]");
  const auto peek = client_.PeekTensor("m", request);
  ASSERT_TRUE(peek.ok()) << peek.status();
  EXPECT_THAT(std::get<std::vector<uint64_t>>(peek->values), ElementsAre('g', 'h', 'i'));
  EXPECT_FALSE(peek->truncated);
}

TEST_F(ClientTest, ReadsABigTensorIntoAlignedMemory) {
  const auto data = client_.GetTensor("m", "big");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), *big_);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data->bytes().data()) % 64, 0);
  EXPECT_THAT(data->shape, ElementsAre(1024, kBigBytes / 4096));
  EXPECT_EQ(data->model, "m");
  EXPECT_EQ(data->version, client_.ListTensors("m")->version);
}

TEST_F(ClientTest, ReadsOddTensors) {
  EXPECT_EQ(Text(client_.GetTensor("m", "scalar")->bytes()), "1234");
  EXPECT_THAT(client_.GetTensor("m", "scalar")->shape, IsEmpty());
  const auto empty = client_.GetTensor("m", "empty");
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(empty->shape, ElementsAre(0, 3));
  EXPECT_EQ(empty->bytes().size(), 0);
  EXPECT_EQ(Text(client_.GetTensor("m", "nibbles")->bytes()), "wxyz");
}

TEST_F(ClientTest, ReadsSlices) {
  const auto data = client_.GetSlice("m", "matrix", Parse("[..., ::-2]"));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), "fdbljhrpnxvt");
  EXPECT_THAT(data->shape, ElementsAre(4, 3));
  std::string row(6, '.');
  EXPECT_TRUE(client_.ReadSlice("m", "matrix", Parse("[-1]"), Bytes(row)).ok());
  EXPECT_EQ(row, "stuvwx");
  EXPECT_EQ(Text(client_.GetSlice("m", "nibbles", Parse("[1]"))->bytes()), "yz");
}

TEST_F(ClientTest, ReadsShardsAndLists) {
  const Slice shard{{DimRange{}, Shard{1, 2}}, {}};
  EXPECT_EQ(Text(client_.GetSlice("m", "matrix", shard)->bytes()), "defjklpqrvwx");
  const Slice lists{{DimRanges{{{2, 3, {}}, {0, 1, {}}}}}, {}};
  EXPECT_EQ(Text(client_.GetSlice("m", "matrix", lists)->bytes()), "mnopqrabcdef");
  const Slice both{{Shard{0, 2}}, 0};
  EXPECT_EQ(ReasonOf(client_.GetSlice("m", "matrix", both).status()), ErrorReason::kBadSlice);
}

TEST_F(ClientTest, ReadsIntoAPitchedBuffer) {
  std::string memory(32, '.');
  const absl::Status status =
      client_.ReadSlice("m", "matrix", Parse("[:, 1:4]"), Destination(Bytes(memory), {8, 1}));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(memory, "bcd.....hij.....nop.....tuv.....");
  // Transposed: rows of the tensor become columns.
  memory.assign(32, '.');
  ASSERT_TRUE(client_.ReadSlice("m", "matrix", {}, Destination(Bytes(memory), {1, 5})).ok());
  EXPECT_EQ(memory, "agms.bhnt.ciou.djpv.ekqw.flrx...");
}

TEST_F(ClientTest, ReadsABigTensorIntoAPitchedBuffer) {
  const uint64_t row = kBigBytes / 1024;
  const uint64_t pitch = row + 256;
  std::string memory(1024 * pitch, '.');
  ASSERT_TRUE(client_.ReadSlice("m", "big", {}, Destination(Bytes(memory), {pitch, 4})).ok());
  for (uint64_t i = 0; i < 1024; ++i) {
    ASSERT_EQ(memory.substr(i * pitch, row), big_->substr(i * row, row)) << i;
    ASSERT_EQ(memory.substr(i * pitch + row, 256), std::string(256, '.')) << i;
  }
}

TEST_F(ClientTest, ChecksumsAreAskedForAndPass) {
  ClientOptions options;
  options.checksum = true;
  options.chunk_bytes = 64 * 1024;
  const auto data = server_->Connect(options).GetTensor("m", "big");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), *big_);
}

TEST_F(ClientTest, RefusesDestinationsThatDoNotFitUntouched) {
  std::string memory(23, '.');
  const absl::Status small = client_.ReadSlice("m", "matrix", {}, Bytes(memory));
  EXPECT_EQ(small.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(small.message()), HasSubstr("has 23 bytes, the result 24"));
  const absl::Status strides =
      client_.ReadSlice("m", "matrix", {}, Destination(Bytes(memory), {6, 1}));
  EXPECT_EQ(strides.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(memory, std::string(23, '.'));
}

TEST_F(ClientTest, PassesOnTheServersErrors) {
  EXPECT_EQ(ReasonOf(client_.GetTensor("nope", "x").status()), ErrorReason::kModelNotFound);
  const absl::Status typo = client_.GetTensor("m", "matrx").status();
  EXPECT_EQ(ReasonOf(typo), ErrorReason::kTensorNotFound);
  EXPECT_THAT(std::string(typo.message()), HasSubstr("matrix"));
  EXPECT_EQ(ReasonOf(client_.GetSlice("m", "matrix", Parse("[9]")).status()),
            ErrorReason::kIndexOutOfBounds);
  CallOptions old;
  old.version = "old";
  EXPECT_EQ(ReasonOf(client_.GetTensor("m", "matrix", old).status()), ErrorReason::kVersionChanged);
  EXPECT_EQ(ReasonOf(client_.ListTensors("m", {}, old).status()), ErrorReason::kVersionChanged);
}

TEST_F(ClientTest, ReadsAFileByteForByte) {
  const std::string path = server_->store().Path("copy");
  FILE* file = fopen(path.c_str(), "wb");
  const auto stream = client_.ReadFile("m", "m.safetensors", {}, WriteToFile(fileno(file)));
  fclose(file);
  ASSERT_TRUE(stream.ok()) << stream.status();
  const std::string original = server_->store().Path("m.safetensors");
  EXPECT_EQ(stream->size_bytes, std::filesystem::file_size(original));
  EXPECT_EQ(std::system(absl::StrCat("cmp ", original, " ", path).c_str()), 0);
}

TEST_F(ClientTest, ReadsARangeOfAFile) {
  std::string got;
  const auto sink = [&](const FileStreamInfo&, uint64_t offset, absl::Span<const std::byte> bytes) {
    EXPECT_EQ(offset, 8 + got.size());
    got += Text(bytes);
    return absl::OkStatus();
  };
  ASSERT_TRUE(client_.ReadFile("other", "other.safetensors", {8, 1}, sink).ok());
  EXPECT_EQ(got, "{");
  EXPECT_EQ(ReasonOf(client_.ReadFile("other", "other.safetensors", {8, 1 << 20}, sink).status()),
            ErrorReason::kRangeOutOfBounds);
}

TEST_F(ClientTest, ASinksErrorEndsTheStream) {
  const auto result = client_.ReadFile(
      "m", "m.safetensors", {}, [](const FileStreamInfo&, uint64_t, absl::Span<const std::byte>) {
        return absl::ResourceExhaustedError("disk full");
      });
  EXPECT_EQ(result.status(), absl::ResourceExhaustedError("disk full"));
}

TEST_F(ClientTest, ADeadlineInThePastEndsAtOnce) {
  CallOptions call;
  call.deadline = absl::Now() - absl::Seconds(1);
  EXPECT_EQ(client_.GetTensor("m", "matrix", call).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, ADeadlineEndsAStream) {
  CallOptions call;
  call.deadline = absl::Now() + absl::Seconds(1);
  const auto slow = [&](const FileStreamInfo&, uint64_t, absl::Span<const std::byte>) {
    absl::SleepFor(*call.deadline - absl::Now());
    return absl::OkStatus();
  };
  EXPECT_EQ(client_.ReadFile("m", "m.safetensors", {}, slow, call).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, CancelsAStreamOnItsWay) {
  CallOptions call;
  call.cancellation.emplace();
  const auto cancel = [&](const FileStreamInfo&, uint64_t, absl::Span<const std::byte>) {
    call.cancellation->Cancel();
    return absl::OkStatus();
  };
  EXPECT_EQ(client_.ReadFile("m", "m.safetensors", {}, cancel, call).status().code(),
            absl::StatusCode::kCancelled);
  // And whatever begins later.
  EXPECT_EQ(client_.ListModels("", call).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ClientTest, TwoThreadsReadAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 3; ++round) {
        const auto data = client_.GetTensor("m", "big");
        ASSERT_TRUE(data.ok()) << data.status();
        EXPECT_EQ(Text(data->bytes()), *big_);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ClientTest, WorksOverTcp) {
  const auto client = Client::Connect(server_->tcp());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(Text(client->GetTensor("m", "matrix")->bytes()), "abcdefghijklmnopqrstuvwx");
}

TEST_F(ClientTest, AMovedClientKeepsItsCalls) {
  std::promise<absl::StatusOr<TensorData>> promise;
  Client moved = server_->Connect();
  moved.GetTensorAsync("m", "big", {}, [&](auto data) { promise.set_value(std::move(data)); });
  const Client kept = std::move(moved);
  const auto data = promise.get_future().get();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), *big_);
}

}  // namespace
}  // namespace tensord
