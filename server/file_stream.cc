#include "server/file_stream.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/chunk_source.h"
#include "server/find_model.h"
#include "server/message_builder.h"
#include "src/crc32c.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using google::protobuf::io::CodedOutputStream;

// Below this size a copy is cheaper than a slice of mapped memory and its last check.
constexpr uint64_t kMinMappedBytes = 64 << 10;

// Of a message before its data: names, of which none is longer than a path may be.
constexpr size_t kMaxPrefixBytes = 16 << 10;

// Field 15, length-delimited.
constexpr uint8_t kDataTag = 15 << 3 | 2;

std::string Sha256Of(const Model& model, absl::string_view name) {
  for (const ModelFile& file : model.files()) {
    if (file.name == name) return file.sha256;
  }
  for (const SideFile& file : model.side_files()) {
    if (file.name == name) return file.sha256;
  }
  return "";
}

// Equal tags, unchanged file: what a stream itself is checked by.
std::string TagOf(const FileIdentity& identity) {
  return absl::StrCat(absl::Hex(identity.size_bytes), "-", absl::Hex(identity.mtime_ns));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileStream>> FileStream::Open(const CatalogView& catalog,
                                                             const v1::ReadFileRequest& request,
                                                             const ChunkOptions& options) {
  TENSORD_ASSIGN_OR_RETURN(const auto model,
                           FindModel(catalog, request.model(), request.version()));
  TENSORD_ASSIGN_OR_RETURN(auto file, model->MapFile(request.file(), [&](absl::string_view name) {
    return catalog.ShowsSideFile(*model, name);
  }));
  v1::FileStreamInfo info;
  info.set_model(model->id());
  info.set_version(model->version());
  info.set_file(request.file());
  info.set_size_bytes(file->size_bytes());
  info.set_sha256(Sha256Of(*model, request.file()));
  info.set_tag(TagOf(file->identity()));
  const uint64_t size_bytes = file->size_bytes();
  auto stream =
      std::unique_ptr<FileStream>(new FileStream(std::move(file), std::move(info), options));
  stream->end_ = size_bytes;
  if (request.has_range()) {
    TENSORD_ASSIGN_OR_RETURN(const ByteInterval range, ResolveRange(request.range(), size_bytes));
    stream->offset_ = range.begin;
    stream->end_ = range.end;
  }
  return stream;
}

ChunkProducer::Needs FileStream::Plan() {
  const uint64_t size = std::min<uint64_t>(options_.chunk_bytes, end_ - offset_);
  if (size >= kMinMappedBytes) return {};
  const size_t own_bytes = kMaxPrefixBytes + size;
  return {.wanted_bytes = own_bytes, .least_bytes = own_bytes, .is_heavy = true};
}

absl::StatusOr<ChunkProducer::Chunk> FileStream::Next(const std::shared_ptr<DrainGate>& gate,
                                                      BufferBudget::Buffer buffer) {
  const uint64_t size = std::min<uint64_t>(options_.chunk_bytes, end_ - offset_);
  if (size > 0) {
    const FileRange range{offset_, size};
    TENSORD_RETURN_IF_ERROR(Annotated(PrepareToRead(*file_, {&range, 1})));
  }
  const absl::Span<const std::byte> data = file_->bytes().subspan(offset_, size);
  const std::string prefix = Prefix(data);
  const bool is_mapped = size >= kMinMappedBytes;
  MessageBuilder builder(prefix.size() + (is_mapped ? 0 : size), std::move(buffer));
  std::memcpy(builder.Own(prefix.size()).data(), prefix.data(), prefix.size());
  if (is_mapped) {
    file_->Touch(data);
    builder.Append(file_, data, gate);
  } else if (size > 0) {
    std::memcpy(builder.Own(size).data(), data.data(), size);
  }
  if (size > 0) TENSORD_RETURN_IF_ERROR(Annotated(ConfirmRead(*file_)));
  offset_ += size;
  read_bytes_ += size;
  sent_bytes_ += size;
  info_sent_ = true;
  return Chunk{builder.Build(), offset_ == end_};
}

absl::Status FileStream::Finish() { return Annotated(ConfirmRead(*file_)); }

std::string FileStream::Prefix(absl::Span<const std::byte> data) {
  v1::FileChunk chunk;
  if (!info_sent_) *chunk.mutable_info() = info_;
  chunk.set_offset_bytes(offset_);
  if (options_.checksum) chunk.set_crc32c(ExtendCrc32c(0, data));
  std::string prefix = chunk.SerializeAsString();
  if (data.empty()) return prefix;
  std::array<uint8_t, 11> field;  // A tag of one byte and a varint of at most ten.
  field[0] = kDataTag;
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(data.size(), field.data() + 1);
  prefix.append(reinterpret_cast<const char*>(field.data()), end - field.data());
  return prefix;
}

absl::Status FileStream::Annotated(const absl::Status& status) const {
  return status.ok() ? status : Annotate(status, absl::StrCat("file ", Quote(info_.file())));
}

}  // namespace tensord
