#include "server/message_builder.h"

#include <cassert>
#include <utility>

namespace tensord {
namespace {

// What a slice of mapped memory keeps alive.
struct Hold {
  std::shared_ptr<const ServedFile> file;
  std::shared_ptr<DrainGate> gate;
};

void Drop(void* user_data) {
  const std::unique_ptr<Hold> hold(static_cast<Hold*>(user_data));
  // The stream's last check compares the file, which it holds itself, so the order does not matter.
  hold->gate->Release();
}

void Return(void* user_data) { delete static_cast<BufferBudget::Buffer*>(user_data); }

BufferBudget::Buffer* Keep(BufferBudget::Buffer buffer) {
  return buffer.size() == 0 ? nullptr : new BufferBudget::Buffer(std::move(buffer));
}

absl::Span<std::byte> Behind(size_t own_bytes, const BufferBudget::Buffer* buffer) {
  if (buffer == nullptr) return {};
  return {buffer->data() + own_bytes, buffer->size() - own_bytes};
}

grpc::Slice SliceOf(size_t own_bytes, BufferBudget::Buffer* buffer) {
  if (buffer == nullptr) return grpc::Slice(own_bytes);
  return grpc::Slice(buffer->data(), own_bytes, &Return, buffer);
}

}  // namespace

MessageBuilder::MessageBuilder(size_t own_bytes, BufferBudget::Buffer buffer)
    : buffer_(Keep(std::move(buffer))),
      scratch_(Behind(own_bytes, buffer_)),
      own_(SliceOf(own_bytes, buffer_)) {}

absl::Span<std::byte> MessageBuilder::Own(size_t size_bytes) {
  assert(size_bytes <= own_.size() - used_);
  // The slice was made by us and nobody else has seen it yet.
  std::byte* begin = reinterpret_cast<std::byte*>(const_cast<uint8_t*>(own_.begin())) + used_;
  used_ += size_bytes;
  return {begin, size_bytes};
}

void MessageBuilder::Append(std::shared_ptr<const ServedFile> file,
                            absl::Span<const std::byte> bytes, std::shared_ptr<DrainGate> gate) {
  Cut();
  gate->Hold();
  auto* data = const_cast<std::byte*>(bytes.data());  // gRPC's type asks for it; it only reads.
  slices_.emplace_back(data, bytes.size(), &Drop, new Hold{std::move(file), std::move(gate)});
}

grpc::ByteBuffer MessageBuilder::Build() {
  Cut();
  assert(used_ == own_.size());
  if (buffer_ != nullptr) buffer_->Shrink(used_);
  return grpc::ByteBuffer(slices_.data(), slices_.size());
}

void MessageBuilder::Cut() {
  if (used_ > cut_) slices_.push_back(own_.sub(cut_, used_));
  cut_ = used_;
}

}  // namespace tensord
