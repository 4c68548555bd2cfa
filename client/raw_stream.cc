#include "client/raw_stream.h"

namespace tensord {

RawStream::RawStream(grpc::GenericStub& stub, grpc::ClientContext& context,
                     const std::string& method, absl::string_view request) {
  // Metadata, request and half-close leave as one batch.
  context.set_initial_metadata_corked(true);
  call_ = stub.PrepareCall(&context, method, &queue_);
  call_->StartCall(this);
  const grpc::Slice slice(request.data(), request.size());
  const grpc::ByteBuffer message(&slice, 1);
  call_->WriteLast(message, grpc::WriteOptions(), this);
  Wait();  // Where this fails, so do Read and, with the reason, Finish.
}

RawStream::~RawStream() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool RawStream::Wait() {
  void* tag = nullptr;
  bool ok = false;
  return queue_.Next(&tag, &ok) && ok;
}

void RawStream::StartRead() {
  next_.Clear();
  call_->Read(&next_, this);
  is_reading_ = true;
}

std::optional<PieceCursor> RawStream::Read() {
  slices_.clear();
  buffer_.Clear();
  if (!is_reading_) StartRead();
  is_reading_ = false;
  if (!Wait()) return std::nullopt;
  buffer_.Swap(&next_);
  StartRead();
  if (!buffer_.Dump(&slices_).ok()) return std::nullopt;
  pieces_.clear();
  for (const grpc::Slice& slice : slices_) {
    pieces_.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return PieceCursor(pieces_);
}

grpc::Status RawStream::Finish() {
  if (is_reading_) Wait();
  is_reading_ = false;
  grpc::Status status;
  call_->Finish(&status, this);
  Wait();
  return status;
}

}  // namespace tensord
