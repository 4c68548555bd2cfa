#include "client/file_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/file_chunk_assembler.h"
#include "client/tensor_stream.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// One file, over as many streams as it takes.
class FileReader {
 public:
  FileReader(const Connection& connection, const Call& call, const FileSink& sink)
      : connection_(connection),
        call_(call),
        sink_(sink),
        chunk_(connection.options().chunk_bytes) {}

  absl::StatusOr<FileStreamInfo> Read(const std::string& model, FileExpectation wanted) {
    wanted_ = std::move(wanted);
    TENSORD_RETURN_IF_ERROR(connection_.Retry(
        call_, [&] { return ReadOnce(model); }, [&] { return bytes_; }));
    return *wanted_.same_as;
  }

 private:
  AttemptEnd ReadOnce(const std::string& model) {
    v1::ReadFileRequest request;
    SetCommonFields(connection_, model, wanted_.version, chunk_, request);
    request.set_file(wanted_.file);
    request.mutable_range()->set_offset(wanted_.range.offset);
    if (wanted_.range.length) request.mutable_range()->set_length(*wanted_.range.length);
    FileChunkAssembler assembler(wanted_, sink_);
    AttemptEnd end =
        connection_.Stream("ReadFile", request.SerializeAsString(), call_,
                           [&](PieceCursor message) { return assembler.Add(message); });
    if (end.status.ok()) end.status = assembler.Finish().status();
    const uint64_t before = bytes_;
    if (assembler.info()) GoOnBehind(assembler);
    chunk_.Learn(end.status, bytes_ - before);
    return end;
  }

  void GoOnBehind(const FileChunkAssembler& assembler) {
    const uint64_t bytes = assembler.next_offset() - wanted_.range.offset;
    bytes_ += bytes;
    call_.counters->bytes_received += bytes;
    wanted_.range.offset += bytes;
    if (wanted_.range.length) *wanted_.range.length -= bytes;
    if (!wanted_.same_as) wanted_.same_as = assembler.info();
    wanted_.version = assembler.info()->version;
  }

  const Connection& connection_;
  const Call& call_;
  const FileSink& sink_;
  ChunkSize chunk_;
  FileExpectation wanted_;  // What is still missing.
  uint64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<FileStreamInfo> ReadFile(const Connection& connection, const Call& call,
                                        const std::string& model, const std::string& file,
                                        const ByteRange& range, const FileSink& sink) {
  FileExpectation wanted;
  wanted.file = file;
  wanted.version = call.version;
  wanted.range = range;
  wanted.checksum = connection.options().checksum;
  return FileReader(connection, call, sink).Read(model, std::move(wanted));
}

}  // namespace tensord
