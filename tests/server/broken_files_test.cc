// Files that break while they are served: never OK with wrong bytes, and nobody else suffers.
#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/received_stream.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/test_server.h"

namespace tensord {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kRows = 1024;
constexpr uint64_t kColumns = 4096;
constexpr uint64_t kTensorBytes = kRows * kColumns;

// Different in each row and column, and never zero.
std::string Data(unsigned seed) {
  std::string data(kTensorBytes, '\0');
  std::mt19937 random(seed);
  for (size_t at = 0; at < data.size(); at += 4) {
    const uint32_t word = static_cast<uint32_t>(random()) | 0x01010101;
    data.replace(at, 4, reinterpret_cast<const char*>(&word), 4);
  }
  return data;
}

// How the victim is read.
struct Way {
  const char* name;
  bool is_slice;  // Gathered, because its rows are short.
  bool checksum;
  bool is_file;  // By ReadFile.
  ReadMode mode = ReadMode::kMmap;
  const char* address = "127.0.0.1:0";  // "unix:": a socket in the test's directory.
};

class BrokenFiles : public testing::TestWithParam<Way> {
 protected:
  using Stub = v1::TensorStore::Stub;

  BrokenFiles() : server_(WriteStore(), Options(), GetParam().mode) {
    // Small windows: what the client has not read yet waits in the server.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
    stub_ = v1::TensorStore::NewStub(grpc::CreateCustomChannel(
        server_.server().addresses().front(), grpc::InsecureChannelCredentials(), arguments));
  }
  Stub& stub() { return *stub_; }

  ServerOptions Options() const {
    ServerOptions options;
    const std::string address = GetParam().address;
    options.listen = {address == "unix:" ? address + sockets_.Path("socket") : address};
    return options;
  }

  std::string WriteStore() {
    WriteSafetensors(Victim(), {{"t", Dtype::kU8, {kRows, kColumns}, data_}});
    WriteSafetensors(dir_.Path("neighbour.safetensors"),
                     {{"t", Dtype::kU8, {kRows, kColumns}, neighbour_}});
    struct stat status = {};
    EXPECT_EQ(stat(Victim().c_str(), &status), 0);
    file_bytes_ = static_cast<uint64_t>(status.st_size);
    return dir_.path();
  }

  std::string Victim() const { return dir_.Path("victim.safetensors"); }
  uint64_t FileBytes() const { return file_bytes_; }

  // A stream of the victim as the parameter says, from a client that takes a message at a time.
  class Stream {
   public:
    explicit Stream(Stub& stub) {
      const Way& way = GetParam();
      if (way.is_file) {
        v1::ReadFileRequest request;
        request.set_model("victim");
        request.set_file("victim.safetensors");
        request.set_checksum(way.checksum);
        file_ = stub.ReadFile(&context_, request);
      } else {
        v1::GetSliceRequest request;
        request.set_model("victim");
        request.set_tensor("t");
        if (way.is_slice) request.set_slice("[:, 8:4000]");
        request.set_checksum(way.checksum);
        tensors_ = stub.GetSlice(&context_, request);
      }
    }

    bool Read() {
      v1::TensorChunk tensors;
      v1::FileChunk file;
      return file_ ? file_->Read(&file) : tensors_->Read(&tensors);
    }
    absl::Status Finish() { return FromGrpc(file_ ? file_->Finish() : tensors_->Finish()); }
    absl::Status ReadToEnd() {
      while (Read()) {
      }
      return Finish();
    }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<v1::TensorChunk>> tensors_;
    std::unique_ptr<grpc::ClientReader<v1::FileChunk>> file_;
  };

  // The whole neighbour on the same connection.
  void ExpectNeighbourIsRight() {
    grpc::ClientContext context;
    v1::GetTensorRequest request;
    request.set_model("neighbour");
    request.set_tensor("t");
    ReceivedStream got = Receive(context, stub().GetTensor(&context, request));
    ExpectRight(got);
  }
  void ExpectRight(const ReceivedStream& got) const {
    EXPECT_EQ(got.status, absl::OkStatus());
    ASSERT_EQ(got.results.size(), 1u);
    EXPECT_TRUE(got.results[0].data == neighbour_);
  }

  static void ExpectFileChanged(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"victim.safetensors\""));
    EXPECT_THAT(std::string(status.message()), Not(ContainsRegex("file \".*file \"")));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("/tmp")));
  }

  const TempDir dir_;
  const TempDir sockets_;
  const std::string data_ = Data(1);
  const std::string neighbour_ = Data(2);
  uint64_t file_bytes_ = 0;
  TestServer server_;
  std::unique_ptr<Stub> stub_;
};

TEST_P(BrokenFiles, TruncationMidStreamIsDataLossAndTheConnectionsOtherStreamsEndWell) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const std::string whole = SafetensorsBytes({{"t", Dtype::kU8, {kRows, kColumns}, data_}});
  for (int round = 0; round < 8; ++round) {
    Stream victim(stub());
    ASSERT_TRUE(victim.Read());
    grpc::ClientContext context;
    v1::GetTensorRequest request;
    request.set_model("neighbour");
    request.set_tensor("t");
    auto neighbour = stub().GetTensor(&context, request);
    const uint64_t length = round == 0 ? 0 : random() % (FileBytes() - 1);
    ASSERT_EQ(truncate(Victim().c_str(), static_cast<off_t>(length)), 0);
    ExpectFileChanged(victim.ReadToEnd());
    ExpectRight(Receive(context, std::move(neighbour)));
    WriteBytes(Victim(), whole);
    server_.Reload();
  }
}

TEST_P(BrokenFiles, AFaultIsCountedAndAsksForARescan) {
  std::atomic<int> num_rescans = 0;
  server_.catalog().SetRescanHook([&num_rescans] { ++num_rescans; });
  Stream stream(stub());
  ASSERT_TRUE(stream.Read());
  ASSERT_EQ(truncate(Victim().c_str(), 4096), 0);
  ExpectFileChanged(stream.ReadToEnd());
  server_.catalog().SetRescanHook(nullptr);
  EXPECT_EQ(server_.server().file_faults().num_truncated, 1u);
  EXPECT_EQ(server_.server().file_faults().num_io_errors, 0u);
  EXPECT_EQ(num_rescans, 1);
}

TEST_P(BrokenFiles, TruncationWhileAReaderIsSlowCostsNobodyElse) {
  Stream slow(stub());
  ASSERT_TRUE(slow.Read());
  ASSERT_EQ(truncate(Victim().c_str(), 4096), 0);
  ExpectNeighbourIsRight();
  ExpectFileChanged(slow.ReadToEnd());
  ExpectNeighbourIsRight();
}

TEST_P(BrokenFiles, TruncationBeforeTheFirstByteIsDataLoss) {
  ASSERT_EQ(truncate(Victim().c_str(), 1000), 0);
  Stream stream(stub());
  if (GetParam().is_file) {
    // The original bytes are served as they are when the file is opened.
    stream.ReadToEnd().IgnoreError();
  } else {
    ExpectFileChanged(stream.ReadToEnd());
  }
  ExpectNeighbourIsRight();
}

TEST_P(BrokenFiles, OverwritingInPlaceIsDataLoss) {
  Stream stream(stub());
  ASSERT_TRUE(stream.Read());
  const int fd = open(Victim().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(pwrite(fd, "x", 1, static_cast<off_t>(FileBytes() / 2)), 1);
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(futimens(fd, times), 0);
  close(fd);
  ExpectFileChanged(stream.ReadToEnd());
  ExpectNeighbourIsRight();
}

TEST_P(BrokenFiles, ARepairedFileIsServedAfterAReload) {
  ASSERT_EQ(truncate(Victim().c_str(), 1000), 0);
  EXPECT_FALSE(Stream(stub()).ReadToEnd().ok() && !GetParam().is_file);
  WriteSafetensors(Victim(), {{"t", Dtype::kU8, {kRows, kColumns}, data_}});
  server_.Reload();
  EXPECT_EQ(Stream(stub()).ReadToEnd(), absl::OkStatus());
}

TEST_P(BrokenFiles, ARenamedFileIsReadToItsEnd) {
  Stream stream(stub());
  ASSERT_TRUE(stream.Read());
  dir_.Write("new", "something else");
  ASSERT_EQ(rename(dir_.Path("new").c_str(), Victim().c_str()), 0);
  EXPECT_EQ(stream.ReadToEnd(), absl::OkStatus());
}

TEST_P(BrokenFiles, ADroppedCacheChangesNothing) {
  const int fd = open(Victim().c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(fdatasync(fd), 0);
  ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
  const Way& way = GetParam();
  if (way.is_file) {
    EXPECT_EQ(Stream(stub()).ReadToEnd(), absl::OkStatus());
    return;
  }
  grpc::ClientContext context;
  v1::GetSliceRequest request;
  request.set_model("victim");
  request.set_tensor("t");
  if (way.is_slice) request.set_slice("[:, 8:4000]");
  request.set_checksum(way.checksum);
  const ReceivedStream got = Receive(context, stub().GetSlice(&context, request), way.checksum);
  EXPECT_EQ(got.status, absl::OkStatus());
  ASSERT_EQ(got.results.size(), 1u);
  std::string wanted;
  for (uint64_t row = 0; row < kRows; ++row) {
    const absl::string_view all(data_.data() + row * kColumns, kColumns);
    absl::StrAppend(&wanted, way.is_slice ? all.substr(8, 3992) : all);
  }
  EXPECT_TRUE(got.results[0].data == wanted);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, BrokenFiles,
    testing::Values(Way{"mapped", false, false, false}, Way{"mapped_checksum", false, true, false},
                    Way{"gathered", true, false, false},
                    Way{"gathered_checksum", true, true, false}, Way{"file", false, false, true},
                    Way{"file_checksum", false, true, true},
                    Way{"mapped_unix", false, false, false, ReadMode::kMmap, "unix:"},
                    Way{"read", false, false, false, ReadMode::kPread},
                    Way{"read_checksum", false, true, false, ReadMode::kPread},
                    Way{"read_gathered", true, false, false, ReadMode::kPread},
                    Way{"read_gathered_checksum", true, true, false, ReadMode::kPread},
                    Way{"read_file", false, true, true, ReadMode::kPread, "unix:"}),
    [](const auto& way) { return way.param.name; });

}  // namespace
}  // namespace tensord
