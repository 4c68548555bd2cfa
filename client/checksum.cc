#include "client/checksum.h"

#include "absl/strings/str_cat.h"
#include "src/crc32c.h"

namespace tensord {

absl::Status CheckCrc32c(PieceCursor data, std::optional<uint32_t> announced, bool required) {
  if (!announced) {
    if (!required || data.remaining() == 0) return absl::OkStatus();
    return absl::DataLossError("data came without the checksum that was asked for");
  }
  const uint64_t size = data.remaining();
  uint32_t crc = 0;
  while (data.remaining() > 0) crc = ExtendCrc32c(crc, BytesOf(data.ReadPiece(data.remaining())));
  if (crc == *announced) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(size, " bytes have CRC32C ",
                                          absl::Hex(crc, absl::kZeroPad8), ", announced was ",
                                          absl::Hex(*announced, absl::kZeroPad8)));
}

}  // namespace tensord
