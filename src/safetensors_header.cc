#include "src/safetensors_header.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "src/escape.h"
#include "src/format_error.h"
#include "src/header_layout.h"
#include "src/header_reader.h"
#include "src/name_order.h"
#include "src/raw_header.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// The reference takes the last of equal names; README forbids them, and other parsers take the
// first.
template <typename Name>
absl::Status CheckDistinct(absl::Span<const uint32_t> order, const Name& name,
                           absl::string_view kind) {
  const auto equal = [&name](uint32_t a, uint32_t b) { return name(a) == name(b); };
  const auto found = std::adjacent_find(order.begin(), order.end(), equal);
  if (found == order.end()) return absl::OkStatus();
  return FormatError(FormatRule::kInvalidHeaderDeserialization,
                     absl::StrCat(kind, " ", Quote(name(*found)), " stands twice"));
}

// Reads the next number of a shape that was validated, and moves `text` behind it.
uint64_t TakeExtent(const char*& text) {
  while (*text < '0' || *text > '9') ++text;
  uint64_t extent = 0;
  while (*text >= '0' && *text <= '9') extent = extent * 10 + static_cast<uint64_t>(*text++ - '0');
  return extent;
}

}  // namespace

absl::Status CheckHeaderLength(uint64_t json_size, uint64_t file_size) {
  if (file_size < kHeaderLengthBytes) {
    return FormatError(FormatRule::kHeaderTooSmall,
                       absl::StrCat("the file has ", file_size, " of the at least ",
                                    kHeaderLengthBytes, " bytes"));
  }
  if (json_size > kMaxHeaderBytes) {
    return FormatError(
        FormatRule::kHeaderTooLarge,
        absl::StrCat("the header has ", json_size, " bytes, the limit is ", kMaxHeaderBytes));
  }
  if (json_size > file_size - kHeaderLengthBytes) {
    return FormatError(FormatRule::kInvalidHeaderLength,
                       absl::StrCat("the header has ", json_size, " bytes, the file only ",
                                    file_size - kHeaderLengthBytes, " after the length"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SafetensorsHeader> SafetensorsHeader::Parse(absl::string_view json,
                                                           uint64_t file_size) {
  TENSORD_RETURN_IF_ERROR(CheckHeaderLength(json.size(), file_size));
  TENSORD_ASSIGN_OR_RETURN(const RawHeader raw, ReadHeaderJson(json));
  const auto name = [&raw](uint32_t i) { return raw.Text(raw.tensors[i].name); };
  const std::vector<uint32_t> order = NameOrder(raw.tensors.size(), name);
  TENSORD_RETURN_IF_ERROR(CheckDistinct(order, name, "tensor"));
  const auto key = [&raw](uint32_t i) { return raw.Text(raw.metadata[i].key); };
  TENSORD_RETURN_IF_ERROR(CheckDistinct(NameOrder(raw.metadata.size(), key), key, "metadata key"));
  TENSORD_RETURN_IF_ERROR(CheckLayout(raw, file_size - kHeaderLengthBytes - json.size()));
  return SafetensorsHeader(raw, order, json.size());
}

SafetensorsHeader::SafetensorsHeader(const RawHeader& raw, absl::Span<const uint32_t> name_order,
                                     uint64_t json_size_bytes)
    : has_metadata_(raw.has_metadata), json_size_bytes_(json_size_bytes) {
  size_t text_bytes = 0;
  size_t num_extents = 0;
  for (const RawTensor& tensor : raw.tensors) {
    text_bytes += tensor.name.size_bytes;
    num_extents += tensor.rank;
  }
  for (const RawMetadata& entry : raw.metadata) {
    text_bytes += entry.key.size_bytes + entry.value.size_bytes;
  }
  text_.reserve(text_bytes);
  extents_.reserve(num_extents);
  records_.reserve(raw.tensors.size());
  metadata_.reserve(raw.metadata.size());
  for (const uint32_t i : name_order) AddTensor(raw, raw.tensors[i]);
  for (const RawMetadata& entry : raw.metadata) {
    const uint32_t key = AddText(raw.Text(entry.key));
    const uint32_t value = AddText(raw.Text(entry.value));
    metadata_.push_back({key, value, static_cast<uint32_t>(text_.size())});
  }
}

uint32_t SafetensorsHeader::AddText(absl::string_view text) {
  const auto offset = static_cast<uint32_t>(text_.size());
  text_.insert(text_.end(), text.begin(), text.end());
  return offset;
}

void SafetensorsHeader::AddTensor(const RawHeader& raw, const RawTensor& tensor) {
  records_.push_back({
      .offset_bytes = kHeaderLengthBytes + json_size_bytes_ + tensor.begin,
      .size_bytes = tensor.end - tensor.begin,
      .name_offset = AddText(raw.Text(tensor.name)),
      .name_bytes = tensor.name.size_bytes,
      .shape_offset = static_cast<uint32_t>(extents_.size()),
      .rank = tensor.rank,
      .dtype = tensor.dtype,
  });
  const char* shape = raw.text.get() + tensor.shape_offset;
  for (uint32_t i = 0; i < tensor.rank; ++i) extents_.push_back(TakeExtent(shape));
}

absl::string_view SafetensorsHeader::Text(uint32_t begin, uint32_t end) const {
  return absl::string_view(text_.data() + begin, end - begin);
}

size_t SafetensorsHeader::num_tensors() const { return records_.size(); }

SafetensorsHeader::Entry SafetensorsHeader::tensor(size_t index) const {
  assert(index < records_.size());
  const Record& record = records_[index];
  return {
      .name = Text(record.name_offset, record.name_offset + record.name_bytes),
      .dtype = record.dtype,
      .shape = absl::MakeConstSpan(extents_).subspan(record.shape_offset, record.rank),
      .offset_bytes = record.offset_bytes,
      .size_bytes = record.size_bytes,
  };
}

std::optional<size_t> SafetensorsHeader::Find(absl::string_view name) const {
  const auto found = std::lower_bound(
      records_.begin(), records_.end(), name,
      [this](const Record& record, absl::string_view wanted) {
        return Text(record.name_offset, record.name_offset + record.name_bytes) < wanted;
      });
  const auto index = static_cast<size_t>(found - records_.begin());
  if (found == records_.end() || tensor(index).name != name) return std::nullopt;
  return index;
}

bool SafetensorsHeader::has_metadata() const { return has_metadata_; }

size_t SafetensorsHeader::num_metadata_entries() const { return metadata_.size(); }

SafetensorsHeader::MetadataEntry SafetensorsHeader::metadata(size_t index) const {
  assert(index < metadata_.size());
  const MetadataRecord& record = metadata_[index];
  return {Text(record.key_offset, record.value_offset),
          Text(record.value_offset, record.end_offset)};
}

uint64_t SafetensorsHeader::json_size_bytes() const { return json_size_bytes_; }

uint64_t SafetensorsHeader::memory_bytes() const {
  return sizeof(*this) + text_.capacity() + extents_.capacity() * sizeof(uint64_t) +
         records_.capacity() * sizeof(Record) + metadata_.capacity() * sizeof(MetadataRecord);
}

}  // namespace tensord
