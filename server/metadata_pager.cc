#include "server/metadata_pager.h"

#include <algorithm>
#include <utility>

#include "server/get_metadata.h"
#include "src/utf8.h"

namespace tensord {
namespace {

// A file's description without its entries.
v1::FileInfo Describe(const ModelFile& file) {
  v1::FileInfo info;
  info.set_name(file.name);
  info.set_size_bytes(file.size_bytes);
  info.set_sha256(file.sha256);
  if (file.header == nullptr) return info;
  info.set_header_bytes(file.header->json_size_bytes());
  info.set_num_tensors(file.header->num_tensors());
  if (file.header->has_metadata()) {
    info.mutable_metadata()->set_num_entries(file.header->num_metadata_entries());
  }
  return info;
}

}  // namespace

bool IsBoundary(absl::string_view text, uint64_t offset) {
  return offset >= text.size() || (static_cast<unsigned char>(text[offset]) & 0xc0) != 0x80;
}

bool MetadataPager::IsWanted(const SafetensorsHeader::MetadataEntry& entry) const {
  if (filter_.keys.empty()) return true;
  // Files of one model may have different values under one key: those that cannot be cut at the
  // offset are not what is being continued.
  return filter_.keys.contains(entry.key) && IsBoundary(entry.value, filter_.value_offset);
}

size_t MetadataPager::NextEntry(const SafetensorsHeader& header, size_t entry) const {
  const size_t end = header.num_metadata_entries();
  while (entry < end && !IsWanted(header.metadata(entry))) ++entry;
  return entry;
}

v1::MetadataEntry MetadataPager::Cut(const SafetensorsHeader::MetadataEntry& entry) const {
  const absl::string_view rest =
      entry.value.substr(std::min<uint64_t>(filter_.value_offset, entry.value.size()));
  // The first character is never cut, or a reader of small pieces would not come forward.
  const size_t first = rest.empty() ? 0 : DecodeUtf8(rest).size_bytes;
  const absl::string_view value = Utf8Prefix(rest, std::max(filter_.max_value_bytes, first));
  const absl::string_view key = Utf8Prefix(entry.key, kMaxKeyBytes);
  v1::MetadataEntry result;
  result.set_key(key.data(), key.size());
  result.set_value(value.data(), value.size());
  result.set_value_bytes(entry.value.size());
  return result;
}

bool MetadataPager::AddSideFile(const SideFile& side_file) {
  v1::SideFile info;
  info.set_name(side_file.name);
  info.set_size_bytes(side_file.size_bytes);
  info.set_sha256(side_file.sha256);
  // They are many only where somebody keeps other things beside a model: bytes alone count.
  if (!response_.side_files().empty() && !budget_.HasRoomFor(info)) return false;
  budget_.AddBytes(info);
  *response_.add_side_files() = std::move(info);
  return true;
}

std::optional<size_t> MetadataPager::AddFile(const ModelFile& file, size_t entry) {
  v1::FileInfo info = Describe(file);
  const SafetensorsHeader* const header = file.header.get();
  const size_t end = header == nullptr ? 0 : header->num_metadata_entries();
  entry = header == nullptr ? 0 : NextEntry(*header, entry);
  // The first file of a page is no item of its own where an entry follows: else a page of one item
  // would repeat the file for ever.
  if (response_.files().empty() && entry < end) {
    budget_.AddBytes(info);
  } else if (!budget_.Admit(info)) {
    return entry;
  }
  v1::FileInfo& listed = *response_.add_files();
  listed = std::move(info);
  for (; entry < end; entry = NextEntry(*header, entry + 1)) {
    v1::MetadataEntry cut = Cut(header->metadata(entry));
    if (!budget_.Admit(cut)) return entry;
    *listed.mutable_metadata()->add_entries() = std::move(cut);
  }
  return std::nullopt;
}

std::optional<MetadataPager::Position> MetadataPager::Fill(Position position) {
  const std::vector<SideFile>& side_files = model_.side_files();
  for (; position.side_file < side_files.size(); ++position.side_file) {
    if (!view_.ShowsSideFile(model_, side_files[position.side_file].name)) continue;
    if (!AddSideFile(side_files[position.side_file])) return position;
  }
  for (; position.file < model_.files().size(); ++position.file, position.entry = 0) {
    const auto left = AddFile(model_.files()[position.file], position.entry);
    if (left) return Position{position.side_file, position.file, *left};
  }
  return std::nullopt;
}

}  // namespace tensord
