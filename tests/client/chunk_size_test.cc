#include "client/chunk_size.h"

#include <gtest/gtest.h>

namespace tensord {
namespace {

const absl::Status kBroken = absl::UnavailableError("Connection reset by peer");

TEST(ChunkSize, IsAsAskedFor) {
  EXPECT_EQ(ChunkSize(0).bytes(), 0u);
  EXPECT_EQ(ChunkSize(3 << 20).bytes(), 3u << 20);
}

TEST(ChunkSize, ShrinksToTheLeastWhileNothingComes) {
  ChunkSize chunk(0);
  chunk.Learn(kBroken, 0);
  EXPECT_EQ(chunk.bytes(), 256u << 10);
  for (int i = 0; i < 3; ++i) chunk.Learn(kBroken, 0);
  EXPECT_EQ(chunk.bytes(), ChunkSize::kLeastBytes);
}

TEST(ChunkSize, StaysSmallWhileLittleComes) {
  ChunkSize chunk(0);
  chunk.Learn(kBroken, 0);
  chunk.Learn(kBroken, 1 << 20);
  EXPECT_EQ(chunk.bytes(), 256u << 10);
}

TEST(ChunkSize, IsAsBeforeOnceMuchHasCome) {
  ChunkSize chunk(2 << 20);
  chunk.Learn(kBroken, 0);
  chunk.Learn(kBroken, 100 << 20);
  EXPECT_EQ(chunk.bytes(), 2u << 20);
}

TEST(ChunkSize, ShrinksForReadersTooSlowForAMessage) {
  ChunkSize chunk(0);
  chunk.Learn(MakeError(ErrorReason::kStalled, "the client took nothing"), 0);
  EXPECT_EQ(chunk.bytes(), 256u << 10);
}

TEST(ChunkSize, HasNothingToDoWithWhatTheServerSays) {
  ChunkSize chunk(0);
  chunk.Learn(MakeError(ErrorReason::kDraining, "going"), 0);
  chunk.Learn(MakeError(ErrorReason::kOutOfBuffers, "full"), 0);
  chunk.Learn(absl::DataLossError("torn"), 0);
  EXPECT_EQ(chunk.bytes(), 0u);
}

}  // namespace
}  // namespace tensord
