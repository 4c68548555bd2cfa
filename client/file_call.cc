#include "client/file_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/file_chunk_assembler.h"
#include "client/tensor_stream.h"
#include "src/status_macros.h"

namespace tensord {

absl::StatusOr<FileStreamInfo> ReadFile(const Connection& connection, const Call& call,
                                        const std::string& model, const std::string& file,
                                        const ByteRange& range, const FileSink& sink) {
  v1::ReadFileRequest request;
  SetCommonFields(connection, model, call.version, request);
  request.set_file(file);
  request.mutable_range()->set_offset(range.offset);
  if (range.length) request.mutable_range()->set_length(*range.length);

  FileChunkAssembler assembler({file, call.version, range, connection.options().checksum}, sink);
  TENSORD_RETURN_IF_ERROR(
      connection.Stream("ReadFile", request.SerializeAsString(), call,
                        [&](PieceCursor message) { return assembler.Add(message); }));
  return assembler.Finish();
}

}  // namespace tensord
