#include "client/tensorctl/safetensors_writer.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <vector>

namespace tensord::ctl {

std::string SafetensorsFileHeader(absl::string_view name, Dtype dtype,
                                  absl::Span<const uint64_t> shape, uint64_t size_bytes) {
  nlohmann::ordered_json entry;
  entry["dtype"] = std::string(DtypeName(dtype));
  entry["shape"] = std::vector<uint64_t>(shape.begin(), shape.end());
  entry["data_offsets"] = {uint64_t{0}, size_bytes};
  nlohmann::ordered_json header;
  header[std::string(name)] = std::move(entry);
  std::string json =
      header.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::strict);
  json.append((8 - json.size() % 8) % 8, ' ');
  std::string out;
  for (size_t i = 0; i < 8; ++i)
    out += static_cast<char>((uint64_t{json.size()} >> (8 * i)) & 0xff);
  return out + json;
}

}  // namespace tensord::ctl
