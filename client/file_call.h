// ReadFile. Contract as in tensord/client.h.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "tensord/file_sink.h"
#include "tensord/read_request.h"

namespace tensord {

absl::StatusOr<FileStreamInfo> ReadFile(const Connection& connection, const Call& call,
                                        const std::string& model, const std::string& file,
                                        const ByteRange& range, const FileSink& sink);

}  // namespace tensord
