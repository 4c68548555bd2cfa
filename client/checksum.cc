#include "client/checksum.h"

#include "absl/strings/str_cat.h"
#include "src/crc32c.h"

namespace tensord {

uint32_t ExtendCrc32c(uint32_t crc, PieceCursor data) {
  while (data.remaining() > 0) crc = ExtendCrc32c(crc, BytesOf(data.ReadPiece(data.remaining())));
  return crc;
}

absl::Status CheckCrc32c(uint64_t size_bytes, uint32_t crc, std::optional<uint32_t> announced,
                         bool required) {
  if (!announced) {
    if (!required || size_bytes == 0) return absl::OkStatus();
    return absl::DataLossError("data came without the checksum that was asked for");
  }
  if (crc == *announced) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(size_bytes, " bytes have CRC32C ",
                                          absl::Hex(crc, absl::kZeroPad8), ", announced was ",
                                          absl::Hex(*announced, absl::kZeroPad8)));
}

}  // namespace tensord
