#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/npy_writer.h"
#include "client/tensorctl/output_file.h"
#include "client/tensorctl/progress.h"
#include "client/tensorctl/safetensors_writer.h"
#include "client/tensorctl/tensor_target.h"
#include "src/escape.h"
#include "src/slice_plan.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

// Read and written at a time: memory stays bounded whatever the tensor's size, and starting a call
// for each costs little.
constexpr uint64_t kWindowBytes = 32 << 20;

enum class Format { kNpy, kSafetensors, kRaw };

absl::StatusOr<Format> FormatOf(const GetOptions& options, const Console& console) {
  const std::string& output = options.output;
  if (output == "-") {
    if (console.json()) return UsageError("--json and the bytes of -o - would mix; name a file");
    if (!console.output_is_terminal() || options.force) return Format::kRaw;
    return UsageError(
        "-o - would write raw bytes to the terminal; pipe it on, name a file, or say --force");
  }
  if (absl::EndsWith(output, ".npy")) return Format::kNpy;
  if (absl::EndsWith(output, ".safetensors")) return Format::kSafetensors;
  if (absl::EndsWith(output, ".bin")) return Format::kRaw;
  return UsageError(absl::StrCat("-o ", Quote(output),
                                 ": the format follows from the name; wanted FILE.npy, "
                                 "FILE.safetensors, FILE.bin, or - for raw bytes"));
}

absl::StatusOr<std::string> FileHeader(Format format, const TensorInfo& tensor,
                                       const SlicePlan& plan) {
  if (format == Format::kNpy) return NpyHeader(tensor.dtype, plan.shape());
  if (format == Format::kRaw) return std::string();
  return SafetensorsFileHeader(tensor.name, tensor.dtype, plan.shape(), plan.size_bytes());
}

using Writer = std::function<absl::Status(absl::string_view bytes)>;

// One window of the result, to its writer.
absl::Status CopyWindow(const std::string& model, ReadRequest request, const Session& session,
                        const CallOptions& call, const ProgressCallback& progress,
                        const Writer& write) {
  TENSORD_ASSIGN_OR_RETURN(const ReadReport report,
                           session.client().ReadMany(model, {request}, progress, call));
  if (!report.failures.empty()) return report.failures[0].status;
  const absl::Span<std::byte> bytes = request.destination.bytes;
  return write(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

absl::Status CopyResult(const std::string& model, const TensorTarget& target, uint64_t size_bytes,
                        const Session& session, const CallOptions& call, bool show_progress,
                        const Writer& write) {
  const uint64_t buffer_bytes = std::min(size_bytes, kWindowBytes);
  TENSORD_ASSIGN_OR_RETURN(AlignedBuffer buffer, AlignedBuffer::Allocate(buffer_bytes));
  Progress line(show_progress, Escape(target.tensor.name), size_bytes);
  uint64_t done = 0;
  do {  // An empty result is asked for too: the server judges every slice.
    const uint64_t length = std::min(size_bytes - done, kWindowBytes);
    ReadRequest request{target.tensor.name, target.slice, ByteRange{done, length},
                        Destination(buffer.bytes().subspan(0, length))};
    const auto progress = [&](const ReadProgress& now) { line.Update(done + now.bytes); };
    TENSORD_RETURN_IF_ERROR(CopyWindow(model, std::move(request), session, call, progress, write));
    done += length;
  } while (done < size_bytes);
  return absl::OkStatus();
}

absl::Status Report(const GetOptions& options, const TensorTarget& target, const SlicePlan& plan,
                    const std::string& version, const Console& console) {
  const TensorInfo& tensor = target.tensor;
  const std::string dtype(DtypeName(tensor.dtype));
  if (console.json()) {
    return console.PrintJson({{"path", options.output},
                              {"tensor", tensor.name},
                              {"slice", target.slice.ToString()},
                              {"dtype", dtype},
                              {"shape", plan.shape()},
                              {"size_bytes", plan.size_bytes()},
                              {"version", version}});
  }
  return console.Print(absl::StrCat(Escape(options.output), ": ", dtype, " ",
                                    ShapeText(plan.shape()), ", ", HumanSize(plan.size_bytes()),
                                    "\n"));
}

}  // namespace

CommandResult RunGet(const GetOptions& options, const Session& session) {
  const Console& console = session.console();
  TENSORD_ASSIGN_OR_RETURN(const Format format, FormatOf(options, console));
  TENSORD_ASSIGN_OR_RETURN(const CallOptions call, session.Pin(options.model));
  TENSORD_ASSIGN_OR_RETURN(const TensorTarget target, FindTarget(options.model, options.tensor,
                                                                 options.shards, session, call));
  const TensorInfo& tensor = target.tensor;
  TENSORD_ASSIGN_OR_RETURN(const SlicePlan plan,
                           SlicePlan::Create(tensor.dtype, tensor.shape, target.slice));
  TENSORD_ASSIGN_OR_RETURN(const std::string header, FileHeader(format, tensor, plan));

  const bool to_stdout = options.output == "-";
  const bool show_progress =
      console.error_is_terminal() && !(to_stdout && console.output_is_terminal());
  const CallOptions patient = session.Patiently(call);
  const auto copy = [&](const Writer& write) {
    return CopyResult(options.model, target, plan.size_bytes(), session, patient, show_progress,
                      write);
  };
  if (to_stdout) {
    TENSORD_RETURN_IF_ERROR(copy([&](absl::string_view bytes) { return console.Print(bytes); }));
    return ExitCode::kOk;
  }
  TENSORD_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(options.output));
  TENSORD_RETURN_IF_ERROR(file.Write(header));
  TENSORD_RETURN_IF_ERROR(copy([&](absl::string_view bytes) { return file.Write(bytes); }));
  TENSORD_RETURN_IF_ERROR(file.Commit());
  TENSORD_RETURN_IF_ERROR(Report(options, target, plan, call.version, console));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
