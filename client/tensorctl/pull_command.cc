#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/file_name.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/output_file.h"
#include "client/tensorctl/progress.h"
#include "client/tensorctl/sha256.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/glob.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

namespace fs = std::filesystem;

struct WantedFile {
  std::string name;  // Relative to the model.
  uint64_t size_bytes = 0;
  std::string sha256;  // Empty: not known.
};

absl::StatusOr<std::vector<Glob>> ParseGlobs(const std::vector<std::string>& patterns) {
  std::vector<Glob> globs;
  for (const std::string& pattern : patterns) {
    auto glob = Glob::Parse(pattern);
    if (!glob.ok()) {
      return UsageError(absl::StrCat("--include ", Quote(pattern), ": ", glob.status().message()));
    }
    globs.push_back(*std::move(glob));
  }
  return globs;
}

bool IsIncluded(const std::string& name, const std::vector<Glob>& includes) {
  return includes.empty() || std::any_of(includes.begin(), includes.end(),
                                         [&](const Glob& glob) { return glob.Matches(name); });
}

absl::StatusOr<std::vector<WantedFile>> WantedFiles(const ModelInfo& model,
                                                    const std::vector<std::string>& includes) {
  std::vector<WantedFile> all;
  for (const FileInfo& file : model.files) all.push_back({file.name, file.size_bytes, file.sha256});
  for (const SideFile& file : model.side_files) {
    all.push_back({file.name, file.size_bytes, file.sha256});
  }
  TENSORD_ASSIGN_OR_RETURN(const std::vector<Glob> globs, ParseGlobs(includes));
  std::vector<WantedFile> wanted;
  for (WantedFile& file : all) {
    TENSORD_RETURN_IF_ERROR(CheckFileName(file.name));
    if (IsIncluded(file.name, globs)) wanted.push_back(std::move(file));
  }
  if (wanted.empty()) {
    return MakeError(ErrorReason::kFileNotFound,
                     absl::StrCat("model ", Quote(model.id), " has no file that --include ",
                                  Quote(absl::StrJoin(includes, " ")),
                                  " selects; `tensorctl show` lists ", Plural(all.size(), "file")));
  }
  return wanted;
}

absl::Status MakeDirectories(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(),
                             absl::StrCat("cannot create directory ", Quote(directory.string())));
}

absl::Status CheckDigest(const WantedFile& file, const std::string& got) {
  if (file.sha256.empty() || file.sha256 == got) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(Quote(file.name), " has SHA-256 ", Quote(got),
                                          ", wanted ", Quote(file.sha256),
                                          " as the hub cache says; the served file is damaged"));
}

absl::Status PullFile(const std::string& model, const WantedFile& file, const fs::path& directory,
                      const Session& session, const CallOptions& call) {
  const fs::path path = directory / file.name;
  TENSORD_RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
  TENSORD_ASSIGN_OR_RETURN(OutputFile output, OutputFile::Create(path.string()));
  Sha256 digest;
  const Console& console = session.console();
  Progress line(console.error_is_terminal(), Escape(file.name), file.size_bytes);
  const FileSink sink = [&](const FileStreamInfo&, uint64_t offset,
                            absl::Span<const std::byte> bytes) {
    const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!file.sha256.empty()) digest.Update(text);
    line.Update(offset + text.size());
    return output.Write(text);
  };
  TENSORD_RETURN_IF_ERROR(
      session.client().ReadFile(model, file.name, ByteRange(), sink, call).status());
  if (!file.sha256.empty()) TENSORD_RETURN_IF_ERROR(CheckDigest(file, digest.Finish()));
  return output.Commit();
}

// Of one file only: the others can be had all the same.
bool IsFilesOwnFault(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case ErrorReason::kFileInvalid:
    case ErrorReason::kShardMissing:
    case ErrorReason::kFileNotFound:
    case ErrorReason::kFileChanged:
    case ErrorReason::kReadError:
      return true;
    default:
      return status.code() == absl::StatusCode::kDataLoss;
  }
}

struct PullReport {
  std::vector<WantedFile> pulled;
  std::vector<std::pair<std::string, absl::Status>> failed;
};

absl::Status Report(const ModelInfo& model, const std::string& directory, const PullReport& report,
                    const Console& console) {
  uint64_t bytes = 0;
  for (const WantedFile& file : report.pulled) bytes += file.size_bytes;
  if (!console.json()) {
    return console.Print(absl::StrCat("Pulled ", Plural(report.pulled.size(), "file"), ", ",
                                      HumanSize(bytes), ", into ", Escape(directory), "\n"));
  }
  Json files = Json::array();
  for (const WantedFile& file : report.pulled) {
    files.push_back(
        {{"name", file.name}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}});
  }
  Json failed = Json::array();
  for (const auto& [name, status] : report.failed) {
    failed.push_back(
        {{"name", name}, {"error", ErrorName(status)}, {"message", std::string(status.message())}});
  }
  return console.PrintJson({{"model", model.id},
                            {"version", model.version},
                            {"directory", directory},
                            {"size_bytes", bytes},
                            {"files", std::move(files)},
                            {"failed", std::move(failed)}});
}

}  // namespace

CommandResult RunPull(const PullOptions& options, const Session& session) {
  MetadataOptions little;
  little.keys = {"tensorctl"};
  little.max_value_bytes = 1;
  TENSORD_ASSIGN_OR_RETURN(const ModelInfo model,
                           session.client().GetMetadata(options.model, little, session.call()));
  TENSORD_ASSIGN_OR_RETURN(const std::vector<WantedFile> wanted,
                           WantedFiles(model, options.includes));
  CallOptions call = session.call();
  call.version = model.version;
  TENSORD_RETURN_IF_ERROR(MakeDirectories(options.directory));
  PullReport report;
  for (const WantedFile& file : wanted) {
    const absl::Status status = PullFile(model.id, file, options.directory, session, call);
    if (status.ok()) {
      report.pulled.push_back(file);
    } else if (IsFilesOwnFault(status)) {
      report.failed.emplace_back(file.name, status);
      session.console().Warn(absl::StrCat("error: ", Quote(file.name), ": ", ErrorText(status)));
    } else {
      return Annotate(status, Quote(file.name));
    }
  }
  TENSORD_RETURN_IF_ERROR(Report(model, options.directory, report, session.console()));
  return report.failed.empty() ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace tensord::ctl
