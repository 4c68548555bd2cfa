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
#include "client/tensorctl/pull_journal.h"
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
  std::string sha256;        // Empty: not known.
  bool is_versioned = true;  // Else a side file, which may change while the version stays.
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
    all.push_back({file.name, file.size_bytes, file.sha256, /*is_versioned=*/false});
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

// Equal: a partial file's bytes and those that are served are of one file.
bool IsSame(const PullJournal::Entry& entry, const WantedFile& file) {
  return entry.size_bytes == file.size_bytes && entry.sha256 == file.sha256;
}

// Fetches one file, from where an earlier command or attempt left it.
class FilePull {
 public:
  FilePull(const WantedFile& file, PullJournal& journal, OutputFile output)
      : file_(file), journal_(journal), output_(std::move(output)) {}

  absl::Status Run(const std::string& model, const Client& client, const Console& console,
                   const CallOptions& call) {
    TENSORD_RETURN_IF_ERROR(TakeUp());
    Progress line(console.error_is_terminal(), Escape(file_.name), file_.size_bytes, done_);
    const FileSink sink = [&](const FileStreamInfo& stream, uint64_t offset,
                              absl::Span<const std::byte> bytes) -> absl::Status {
      TENSORD_RETURN_IF_ERROR(Check(stream));
      const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      if (!file_.sha256.empty()) digest_.Update(text);
      line.Update(offset + text.size());
      return output_.Write(text);
    };
    TENSORD_ASSIGN_OR_RETURN(const FileStreamInfo stream,
                             client.ReadFile(model, file_.name, ByteRange{done_, {}}, sink, call));
    TENSORD_RETURN_IF_ERROR(Check(stream));
    return Complete();
  }

  // The file was replaced while nobody looked: what is there of it is of no use.
  bool is_stale() const { return is_stale_; }
  absl::Status Drop() { return output_.Clear(); }

 private:
  absl::Status TakeUp() {
    TENSORD_ASSIGN_OR_RETURN(done_, output_.Size());
    const PullJournal::Entry* entry = journal_.Find(file_.name);
    const bool fits =
        entry != nullptr && IsSame(*entry, file_) && done_ > 0 && done_ <= file_.size_bytes;
    if (!fits) {
      done_ = 0;
      return output_.Clear();
    }
    known_tag_ = entry->tag;
    if (file_.sha256.empty()) return absl::OkStatus();
    return output_.ReadBack(done_, [&](absl::string_view bytes) { digest_.Update(bytes); });
  }

  // Of each stream before its first byte is written: side files have no version, but a tag.
  absl::Status Check(const FileStreamInfo& stream) {
    if (checked_) return absl::OkStatus();
    if (done_ > 0 && file_.sha256.empty() && stream.tag != known_tag_) {
      is_stale_ = true;
      return absl::AbortedError(absl::StrCat(Quote(file_.name), " was replaced"));
    }
    checked_ = true;
    return journal_.Set(file_.name, {file_.size_bytes, stream.tag, file_.sha256, false});
  }

  absl::Status Complete() {
    if (!file_.sha256.empty()) {
      const absl::Status right = CheckDigest(file_, digest_.Finish());
      if (!right.ok()) {
        TENSORD_RETURN_IF_ERROR(output_.Clear());  // Not to be resumed.
        return right;
      }
    }
    TENSORD_RETURN_IF_ERROR(output_.Commit());
    PullJournal::Entry entry = *journal_.Find(file_.name);
    entry.is_complete = true;
    return journal_.Set(file_.name, std::move(entry));
  }

  const WantedFile& file_;
  PullJournal& journal_;
  OutputFile output_;
  Sha256 digest_;
  uint64_t done_ = 0;  // Bytes that an earlier command has left.
  std::string known_tag_;
  bool checked_ = false;
  bool is_stale_ = false;
};

// Whether an earlier command has finished the file, and it is still what it was then.
bool IsThere(const WantedFile& file, const fs::path& path, const PullJournal& journal) {
  const PullJournal::Entry* entry = journal.Find(file.name);
  std::error_code error;
  return entry != nullptr && entry->is_complete && IsSame(*entry, file) &&
         fs::file_size(path, error) == file.size_bytes && !error;
}

absl::Status PullFile(const std::string& model, const WantedFile& file, const fs::path& directory,
                      const Client& client, const Console& console, const CallOptions& call,
                      PullJournal& journal) {
  const fs::path path = directory / file.name;
  if (file.is_versioned && IsThere(file, path, journal)) return absl::OkStatus();
  TENSORD_RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
  for (int attempt = 0;; ++attempt) {
    TENSORD_ASSIGN_OR_RETURN(OutputFile output, OutputFile::Resume(path.string()));
    FilePull pull(file, journal, std::move(output));
    const absl::Status status = pull.Run(model, client, console, call);
    if (!pull.is_stale() || attempt > 0) return status;
    TENSORD_RETURN_IF_ERROR(pull.Drop());
  }
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

// What there is stays: say how to go on.
absl::Status WithAdvice(const absl::Status& status) {
  if (ReasonOf(status) == ErrorReason::kVersionChanged) {
    return Annotate(status,
                    "the model was replaced during the pull; run the command again with --restart "
                    "to fetch everything of what is served now");
  }
  const bool may_go_on = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
                         absl::IsResourceExhausted(status);
  if (!may_go_on) return status;
  return Annotate(status, "run the command again to go on from where it ended");
}

struct PullReport {
  uint64_t fetched_bytes = 0;
  uint64_t num_retries = 0;
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
                            {"fetched_bytes", report.fetched_bytes},
                            {"retries", report.num_retries},
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
  CallOptions call = session.Patiently(session.call());
  call.version = model.version;
  TENSORD_RETURN_IF_ERROR(MakeDirectories(options.directory));
  TENSORD_ASSIGN_OR_RETURN(PullJournal journal, PullJournal::Open(options.directory, model.id,
                                                                  model.version, options.restart));
  PullReport report;
  for (const WantedFile& file : wanted) {
    CallReport cost;
    call.report = &cost;
    const absl::Status status = PullFile(model.id, file, options.directory, session.client(),
                                         session.console(), call, journal);
    report.fetched_bytes += cost.bytes_received;
    report.num_retries += cost.num_retries;
    if (status.ok()) {
      report.pulled.push_back(file);
    } else if (IsFilesOwnFault(status)) {
      report.failed.emplace_back(file.name, status);
      session.console().Warn(absl::StrCat("error: ", Quote(file.name), ": ", ErrorText(status)));
    } else {
      return WithAdvice(Annotate(status, Quote(file.name)));
    }
  }
  if (report.failed.empty()) TENSORD_RETURN_IF_ERROR(journal.Finish());
  TENSORD_RETURN_IF_ERROR(Report(model, options.directory, report, session.console()));
  return report.failed.empty() ? ExitCode::kOk : ExitCode::kFailed;
}

}  // namespace tensord::ctl
