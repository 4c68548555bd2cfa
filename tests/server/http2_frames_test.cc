#include "server/http2_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tensord {
namespace {

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string Frame(FrameType type, uint8_t flags, uint32_t stream, size_t payload_bytes) {
  std::string frame;
  for (const int shift : {16, 8, 0}) frame += static_cast<char>(payload_bytes >> shift);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
  return frame + std::string(payload_bytes, '\xff');
}

absl::Span<const uint8_t> Bytes(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

// The frames of `text`, which comes in pieces of `piece_bytes`.
std::vector<FrameHeader> ReadAll(FrameReader::Side side, const std::string& text,
                                 size_t piece_bytes) {
  FrameReader reader(side);
  std::vector<FrameHeader> found;
  for (size_t i = 0; i < text.size(); i += piece_bytes) {
    const std::string piece = text.substr(i, piece_bytes);
    reader.Read(Bytes(piece), [&](const FrameHeader& header) { found.push_back(header); });
  }
  return found;
}

TEST(FrameReader, FindsFramesWhateverThePiecesAre) {
  const std::string text = kPreface + Frame(FrameType::kSettings, 0, 0, 12) +
                           Frame(FrameType::kHeaders, kFlagEndHeaders, 0x7fffffff, 70'000) +
                           Frame(FrameType::kData, kFlagEndStream, 1, 0) +
                           Frame(FrameType::kPing, 0, 0, 8);
  for (const size_t piece_bytes : {size_t{1}, size_t{7}, size_t{9}, size_t{24}, text.size()}) {
    const std::vector<FrameHeader> found = ReadAll(FrameReader::Side::kClient, text, piece_bytes);
    ASSERT_EQ(found.size(), 4) << piece_bytes;
    EXPECT_EQ(found[1].type, FrameType::kHeaders);
    EXPECT_EQ(found[1].stream, 0x7fffffff);
    EXPECT_EQ(found[1].payload_bytes, 70'000);
    EXPECT_EQ(found[2].flags, kFlagEndStream);
    EXPECT_EQ(found[3].type, FrameType::kPing);
  }
}

TEST(FrameReader, SaysWherePayloadsLie) {
  const std::string text = kPreface + Frame(FrameType::kSettings, 0, 0, 12) +
                           Frame(FrameType::kPing, 0, 0, 0) + Frame(FrameType::kData, 0, 1, 70'000);
  for (const size_t piece_bytes : {size_t{1}, size_t{7}, size_t{1000}, text.size()}) {
    FrameReader reader(FrameReader::Side::kClient);
    size_t settings = 0, data = 0;
    for (size_t i = 0; i < text.size(); i += piece_bytes) {
      const std::string piece = text.substr(i, piece_bytes);
      reader.Read(
          Bytes(piece), [](const FrameHeader&) {},
          [&](const FrameHeader& frame, size_t begin, size_t size) {
            EXPECT_EQ(piece.substr(begin, size), std::string(size, '\xff'));
            (frame.type == FrameType::kSettings ? settings : data) += size;
          });
    }
    EXPECT_EQ(settings, 12) << piece_bytes;
    EXPECT_EQ(data, 70'000) << piece_bytes;
  }
}

TEST(FrameReader, TheReservedBitOfAStreamIsIgnored) {
  const std::string text = Frame(FrameType::kData, 0, 0x80000005, 1);
  EXPECT_EQ(ReadAll(FrameReader::Side::kServer, text, 100)[0].stream, 5);
}

TEST(FrameReader, HasBegunWithItsFirstFrame) {
  FrameReader reader(FrameReader::Side::kClient);
  const auto ignore = [](const FrameHeader&) {};
  reader.Read(Bytes(kPreface), ignore);
  EXPECT_FALSE(reader.has_begun());
  reader.Read(Bytes(Frame(FrameType::kSettings, 0, 0, 0)), ignore);
  EXPECT_TRUE(reader.has_begun());
}

TEST(FrameReader, WhatIsNotHttp2HasNoFrames) {
  EXPECT_THAT(
      ReadAll(FrameReader::Side::kClient, "GET / HTTP/1.1\r\n" + std::string(1000, '\0'), 3),
      testing::IsEmpty());
}

}  // namespace
}  // namespace tensord
