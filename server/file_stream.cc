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

absl::StatusOr<std::unique_ptr<FileStream>> FileStream::Create(const CatalogView& catalog,
                                                               v1::ReadFileRequest request,
                                                               const ChunkOptions& options) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  return std::unique_ptr<FileStream>(
      new FileStream(catalog, std::move(model), std::move(request), options));
}

absl::StatusOr<std::shared_ptr<const ServedFile>> FileStream::OpenFile() {
  const CatalogView view = *std::exchange(catalog_, std::nullopt);
  return model_->MapFile(request_.file(),
                         [&](absl::string_view name) { return view.ShowsSideFile(*model_, name); });
}

absl::Status FileStream::Open() {
  info_.set_model(model_->id());
  info_.set_version(model_->version());
  info_.set_file(request_.file());
  TENSORD_ASSIGN_OR_RETURN(file_, OpenFile());
  info_.set_size_bytes(file_->size_bytes());
  info_.set_sha256(Sha256Of(*model_, request_.file()));
  info_.set_tag(TagOf(file_->identity()));
  end_ = file_->size_bytes();
  if (request_.has_range()) {
    TENSORD_ASSIGN_OR_RETURN(const ByteInterval range, ResolveRange(request_.range(), end_));
    offset_ = range.begin;
    end_ = range.end;
  }
  return absl::OkStatus();
}

uint64_t FileStream::DataBytes() const {
  return std::min<uint64_t>(options_.chunk_bytes, end_ - offset_);
}

bool FileStream::IsSentMapped(uint64_t size) const {
  return file_->is_mapped() && size >= kMinMappedBytes;
}

ChunkProducer::Needs FileStream::Plan() {
  Needs needs;
  if (!opened_.ok()) return needs;
  needs.place = place_;
  needs.fetches = file_ == nullptr;
  if (needs.fetches) return needs;
  const uint64_t size = DataBytes();
  const FileRange range{offset_, size};
  const bool is_mapped = IsSentMapped(size);
  needs.fetches = is_mapped && !is_fetched_ && !file_->IsInMemory(offset_, size);
  if (needs.fetches || !file_->is_mapped()) read_ahead_.Missed(*file_, range);
  if (needs.fetches) return needs;
  if (read_ahead_.IsDue(*file_, range)) {
    needs.ahead_file = file_;
    needs.ahead = read_ahead_.Next(range, end_);
  }
  if (is_mapped) return needs;
  needs.wanted_bytes = kMaxPrefixBytes + size;
  needs.least_bytes = kMaxPrefixBytes + std::min<uint64_t>(size, kMinChunkBytes);
  needs.is_heavy = true;
  needs.reads = size > 0;
  return needs;
}

void FileStream::Fetch() {
  if (file_ == nullptr) {
    opened_ = Open();
    if (!opened_.ok() && options_.faults != nullptr) {
      options_.faults->Report(model_->id(), request_.file(), opened_);
    }
    return;
  }
  file_->Fetch(offset_, DataBytes());
  file_->Touch(file_->bytes().subspan(offset_, DataBytes()));
  is_fetched_ = true;
}

absl::StatusOr<ChunkProducer::Chunk> FileStream::Next(const std::shared_ptr<DrainGate>& gate,
                                                      BufferBudget::Buffer buffer) {
  if (!opened_.ok()) return opened_;
  uint64_t size = DataBytes();
  is_fetched_ = false;
  if (!IsSentMapped(size)) size = std::min<uint64_t>(size, buffer.size() - kMaxPrefixBytes);
  if (size > 0) {
    const FileRange range{offset_, size};
    TENSORD_RETURN_IF_ERROR(Failed(PrepareToRead(*file_, {&range, 1})));
  }
  TENSORD_ASSIGN_OR_RETURN(grpc::ByteBuffer message, Encode(size, gate, std::move(buffer)));
  if (size > 0) TENSORD_RETURN_IF_ERROR(Failed(ConfirmRead(*file_)));
  offset_ += size;
  read_bytes_ += size;
  sent_bytes_ += size;
  info_sent_ = true;
  return Chunk{std::move(message), offset_ == end_};
}

absl::StatusOr<grpc::ByteBuffer> FileStream::Encode(uint64_t size,
                                                    const std::shared_ptr<DrainGate>& gate,
                                                    BufferBudget::Buffer buffer) {
  const bool is_mapped = IsSentMapped(size);
  // Its size does not depend on the checksum, which may be known only behind the data.
  const size_t prefix_bytes = Prefix(size, 0).size();
  MessageBuilder builder(prefix_bytes + (is_mapped ? 0 : size), std::move(buffer));
  const absl::Span<std::byte> prefix = builder.Own(prefix_bytes);
  absl::Span<const std::byte> data;
  if (is_mapped) {
    data = file_->bytes().subspan(offset_, size);
    file_->Touch(data);
  } else if (size > 0) {
    const absl::Span<std::byte> copy = builder.Own(size);
    TENSORD_RETURN_IF_ERROR(Failed(file_->Read(offset_, copy)));
    data = copy;
  }
  const uint32_t crc = options_.checksum ? ExtendCrc32c(0, data) : 0;
  std::memcpy(prefix.data(), Prefix(size, crc).data(), prefix_bytes);
  if (is_mapped) builder.Append(file_, data, gate);
  return builder.Build();
}

absl::Status FileStream::Finish() {
  return file_->is_mapped() ? Failed(ConfirmRead(*file_)) : absl::OkStatus();
}

std::optional<FilePlace> FileStream::FinishWaitsFor() const {
  if (!file_->is_mapped() || !file_->is_remote()) return std::nullopt;
  return tensord::PlaceOf(file_->identity());
}

std::string FileStream::Prefix(uint64_t size, uint32_t crc) const {
  v1::FileChunk chunk;
  if (!info_sent_) *chunk.mutable_info() = info_;
  chunk.set_offset_bytes(offset_);
  if (options_.checksum) chunk.set_crc32c(crc);
  std::string prefix = chunk.SerializeAsString();
  if (size == 0) return prefix;
  std::array<uint8_t, 11> field;  // A tag of one byte and a varint of at most ten.
  field[0] = kDataTag;
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(size, field.data() + 1);
  prefix.append(reinterpret_cast<const char*>(field.data()), end - field.data());
  return prefix;
}

absl::Status FileStream::Failed(const absl::Status& status) const {
  if (status.ok()) return status;
  if (options_.faults != nullptr) options_.faults->Report(info_.model(), info_.file(), status);
  return Annotate(status, absl::StrCat("file ", Quote(info_.file())));
}

}  // namespace tensord
