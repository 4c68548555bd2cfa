#include "server/chunk_encoder.h"

#include <google/protobuf/io/coded_stream.h>

#include <cassert>

namespace tensord {
namespace {

using google::protobuf::io::CodedOutputStream;

// Wire types of protobuf's encoding.
constexpr uint32_t kVarint = 0;
constexpr uint32_t kDelimited = 2;
constexpr uint32_t kFixed32 = 5;

// All field numbers here are below 16, so a tag is one byte.
constexpr size_t kTagBytes = 1;

size_t VarintSize(uint64_t value) { return CodedOutputStream::VarintSize64(value); }

// Proto3 leaves zeros and empty texts out.
size_t VarintFieldSize(uint64_t value) { return value == 0 ? 0 : kTagBytes + VarintSize(value); }

size_t DelimitedSize(size_t size) { return kTagBytes + VarintSize(size) + size; }

size_t TextFieldSize(absl::string_view text) {
  return text.empty() ? 0 : DelimitedSize(text.size());
}

// int32 on the wire: negative numbers are sign-extended to 64 bits.
uint64_t Int32(int32_t value) { return static_cast<uint64_t>(static_cast<int64_t>(value)); }

// Writes fields one after another; the caller has measured them.
class FieldWriter {
 public:
  explicit FieldWriter(absl::Span<std::byte> out)
      : next_(reinterpret_cast<uint8_t*>(out.data())), end_(next_ + out.size()) {}

  ~FieldWriter() { assert(next_ == end_); }
  FieldWriter(const FieldWriter&) = delete;
  FieldWriter& operator=(const FieldWriter&) = delete;

  void Varint(uint64_t value) { next_ = CodedOutputStream::WriteVarint64ToArray(value, next_); }

  void VarintField(uint32_t number, uint64_t value) {
    if (value == 0) return;
    Varint(number << 3 | kVarint);
    Varint(value);
  }

  // The field's bytes follow.
  void OpenField(uint32_t number, size_t size) {
    Varint(number << 3 | kDelimited);
    Varint(size);
  }

  void TextField(uint32_t number, absl::string_view text) {
    if (text.empty()) return;
    OpenField(number, text.size());
    Raw(text);
  }

  // Fields that are encoded already.
  void Raw(absl::string_view bytes) {
    next_ = CodedOutputStream::WriteRawToArray(bytes.data(), static_cast<int>(bytes.size()), next_);
  }

  absl::Span<std::byte> Fixed32Field(uint32_t number) {
    Varint(number << 3 | kFixed32);
    const absl::Span<std::byte> place(reinterpret_cast<std::byte*>(next_), sizeof(uint32_t));
    next_ += sizeof(uint32_t);
    return place;
  }

 private:
  uint8_t* next_;
  uint8_t* const end_;
};

size_t ShapeSize(absl::Span<const uint64_t> shape) {
  size_t size = 0;
  for (const uint64_t extent : shape) size += VarintSize(extent);
  return size;
}

size_t HeaderSize(const TensorHeaderView& header) {
  return header.layout.size() + TextFieldSize(header.tensor) + VarintFieldSize(header.selection);
}

size_t ErrorSize(const ResultErrorView& error) {
  return VarintFieldSize(Int32(error.code)) + VarintFieldSize(Int32(error.reason)) +
         TextFieldSize(error.message);
}

size_t InfoSize(const StreamInfoView& info) {
  return TextFieldSize(info.model) + TextFieldSize(info.version) +
         VarintFieldSize(info.num_results) + VarintFieldSize(info.size_bytes);
}

// Of the part's own fields, with its data: the length that stands before it.
size_t PartSize(const TensorPartView& part) {
  return VarintFieldSize(part.result) +
         (part.header ? DelimitedSize(HeaderSize(*part.header)) : 0) +
         VarintFieldSize(part.offset_bytes) + (part.has_crc32c ? kTagBytes + sizeof(uint32_t) : 0) +
         (part.error ? DelimitedSize(ErrorSize(*part.error)) : 0) +
         (part.data_bytes == 0 ? 0 : DelimitedSize(part.data_bytes));
}

void WriteHeader(const TensorHeaderView& header, FieldWriter& writer) {
  writer.Raw(header.layout);
  writer.TextField(4, header.tensor);
  writer.VarintField(5, header.selection);
}

void WriteError(const ResultErrorView& error, FieldWriter& writer) {
  writer.VarintField(1, Int32(error.code));
  writer.VarintField(2, Int32(error.reason));
  writer.TextField(3, error.message);
}

}  // namespace

size_t StreamInfoSize(const StreamInfoView& info) { return DelimitedSize(InfoSize(info)); }

void EncodeStreamInfo(const StreamInfoView& info, absl::Span<std::byte> out) {
  FieldWriter writer(out);
  writer.OpenField(1, InfoSize(info));
  writer.TextField(1, info.model);
  writer.TextField(2, info.version);
  writer.VarintField(3, info.num_results);
  writer.VarintField(4, info.size_bytes);
}

std::string EncodeTensorLayout(absl::string_view dtype, absl::Span<const uint64_t> shape,
                               uint64_t size_bytes) {
  const size_t extents_bytes = ShapeSize(shape);
  std::string layout(TextFieldSize(dtype) + (shape.empty() ? 0 : DelimitedSize(extents_bytes)) +
                         VarintFieldSize(size_bytes),
                     '\0');
  FieldWriter writer({reinterpret_cast<std::byte*>(layout.data()), layout.size()});
  writer.TextField(1, dtype);
  if (!shape.empty()) {
    writer.OpenField(2, extents_bytes);
    for (const uint64_t extent : shape) writer.Varint(extent);
  }
  writer.VarintField(3, size_bytes);
  return layout;
}

size_t PartPrefixSize(const TensorPartView& part) {
  return DelimitedSize(PartSize(part)) - part.data_bytes;
}

absl::Span<std::byte> EncodePartPrefix(const TensorPartView& part, absl::Span<std::byte> out) {
  absl::Span<std::byte> checksum;
  FieldWriter writer(out);
  writer.OpenField(2, PartSize(part));
  writer.VarintField(1, part.result);
  if (part.header) {
    writer.OpenField(2, HeaderSize(*part.header));
    WriteHeader(*part.header, writer);
  }
  writer.VarintField(3, part.offset_bytes);
  if (part.has_crc32c) checksum = writer.Fixed32Field(4);
  if (part.error) {
    writer.OpenField(5, ErrorSize(*part.error));
    WriteError(*part.error, writer);
  }
  if (part.data_bytes > 0) writer.OpenField(15, part.data_bytes);
  return checksum;
}

void EncodeCrc32c(uint32_t crc, absl::Span<std::byte> out) {
  assert(out.size() == sizeof(crc));
  CodedOutputStream::WriteLittleEndian32ToArray(crc, reinterpret_cast<uint8_t*>(out.data()));
}

}  // namespace tensord
