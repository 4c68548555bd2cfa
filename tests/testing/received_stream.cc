#include "tests/testing/received_stream.h"

#include <set>

#include "absl/strings/numbers.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "src/crc32c.h"
#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {
namespace {

uint64_t Trailer(const grpc::ClientContext& context, const std::string& name) {
  const auto found = context.GetServerTrailingMetadata().find(name);
  uint64_t value = 0;
  if (found == context.GetServerTrailingMetadata().end()) return 0;
  EXPECT_TRUE(absl::SimpleAtoi(std::string(found->second.data(), found->second.size()), &value));
  return value;
}

uint32_t Crc(const std::string& data) {
  return ExtendCrc32c(0, {reinterpret_cast<const std::byte*>(data.data()), data.size()});
}

void AddPart(const v1::TensorPart& part, bool checksum, std::set<uint32_t>& seen,
             std::vector<ReceivedResult>& results) {
  if (part.has_header()) {
    EXPECT_TRUE(seen.insert(part.result()).second) << "result " << part.result() << " again";
    results.push_back({part.result(), part.header(), part.offset_bytes(), "", 0, {}});
  }
  ASSERT_FALSE(results.empty()) << "the first part has no header";
  ReceivedResult& result = results.back();
  ASSERT_EQ(part.result(), result.result) << "results interleave";
  ASSERT_FALSE(result.error) << "a part after an error";
  EXPECT_EQ(part.offset_bytes(), result.begin + result.data.size()) << "a gap";
  if (!part.has_error()) {
    EXPECT_EQ(part.has_crc32c(), checksum);
    if (checksum) {
      EXPECT_EQ(part.crc32c(), Crc(part.data()));
    }
  } else {
    EXPECT_TRUE(part.data().empty());
    result.error = part.error();
  }
  result.data += part.data();
  ++result.num_parts;
}

}  // namespace

std::map<std::string, ReceivedResult> ReceivedStream::ByName() const {
  std::map<std::string, ReceivedResult> by_name;
  for (const ReceivedResult& result : results) by_name[result.header.tensor()] = result;
  return by_name;
}

ReceivedStream Receive(grpc::ClientContext& context,
                       std::unique_ptr<grpc::ClientReader<v1::TensorChunk>> reader, bool checksum) {
  ReceivedStream stream;
  std::set<uint32_t> seen;
  v1::TensorChunk chunk;
  while (reader->Read(&chunk)) {
    EXPECT_EQ(chunk.has_info(), stream.num_messages == 0);
    if (chunk.has_info()) stream.info = chunk.info();
    for (const v1::TensorPart& part : chunk.parts()) AddPart(part, checksum, seen, stream.results);
    stream.largest_message = std::max(stream.largest_message, chunk.ByteSizeLong());
    ++stream.num_messages;
  }
  stream.status = FromGrpc(reader->Finish());
  stream.bytes_read = Trailer(context, "tensord-bytes-read");
  stream.bytes_sent = Trailer(context, "tensord-bytes-sent");
  return stream;
}

}  // namespace tensord
