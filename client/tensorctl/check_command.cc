#include "client/tensorctl/commands.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/tensorctl/checkpoint_check.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/safetensors_file.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

namespace fs = std::filesystem;

// What is known of one path.
struct Verdict {
  std::string error;  // The reference's name for the broken rule, or ours; empty: the file is good.
  std::string message;
  uint64_t num_tensors = 0;
};

Verdict VerdictOf(const absl::Status& status) {
  const auto details = ErrorDetails(status);
  const auto variant = details.find("variant");
  if (variant == details.end()) return {ErrorName(status), std::string(status.message()), 0};
  absl::string_view message = status.message();
  absl::ConsumePrefix(&message, absl::StrCat(variant->second, ": "));
  return {variant->second, std::string(message), 0};
}

Verdict CheckFile(const std::string& path) {
  if (IsIndexPath(path)) {
    const absl::StatusOr<uint64_t> num_tensors = CheckIndex(path);
    return num_tensors.ok() ? Verdict{"", "", *num_tensors} : VerdictOf(num_tensors.status());
  }
  const auto file = OpenSafetensorsFile(path);
  return file.ok() ? Verdict{"", "", file->header->num_tensors()} : VerdictOf(file.status());
}

absl::Status Report(const std::string& path, const Verdict& verdict, const Console& console) {
  const bool ok = verdict.error.empty();
  if (!console.json()) {
    return console.Print(ok ? absl::StrCat(Escape(path), ": OK\n")
                            : absl::StrCat(Escape(path), ": ", verdict.error, ": ",
                                           CleanMessage(verdict.message), "\n"));
  }
  Json object = {{"path", path}, {"ok", ok}, {"error", nullptr}, {"message", nullptr}};
  if (!ok) object["error"] = verdict.error;
  if (!ok) object["message"] = verdict.message;
  object["tensors"] = verdict.num_tensors;
  return console.PrintJson(object);
}

// What a walk has found, each sorted.
struct FoundFiles {
  std::vector<std::string> tensors;  // *.safetensors
  std::vector<std::string> indices;
};

// What cannot be listed is an error of the whole walk: a file that nobody looked at must not count
// as good.
absl::StatusOr<FoundFiles> FilesBelow(const std::string& directory) {
  FoundFiles found;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    const bool is_index = IsIndexPath(it->path().string());
    if ((!is_index && it->path().extension() != ".safetensors") || it->is_directory(ignored)) {
      continue;
    }
    (is_index ? found.indices : found.tensors).push_back(it->path().string());
  }
  if (error) return absl::ErrnoToStatus(error.value(), "cannot list the directory");
  if (found.tensors.empty() && found.indices.empty()) {
    return absl::NotFoundError("no *.safetensors file below this directory");
  }
  std::sort(found.tensors.begin(), found.tensors.end());
  std::sort(found.indices.begin(), found.indices.end());
  return found;
}

// Reports, and remembers whether anything was bad.
class Reporter {
 public:
  explicit Reporter(const Console& console) : console_(console) {}

  absl::Status Add(const std::string& path, const Verdict& verdict) {
    if (!verdict.error.empty()) code_ = ExitCode::kFailed;
    return Report(path, verdict, console_);
  }
  ExitCode code() const { return code_; }

 private:
  const Console& console_;
  ExitCode code_ = ExitCode::kOk;
};

// Each file, and then only those checkpoints that lack something.
absl::Status CheckDirectory(const std::string& path, Reporter& reporter) {
  const absl::StatusOr<FoundFiles> found = FilesBelow(path);
  if (!found.ok()) return reporter.Add(path, VerdictOf(found.status()));
  for (const std::string& file : found->tensors) {
    TENSORD_RETURN_IF_ERROR(reporter.Add(file, CheckFile(file)));
  }
  for (const std::string& index : found->indices) {
    const Verdict verdict = CheckFile(index);
    if (!verdict.error.empty()) TENSORD_RETURN_IF_ERROR(reporter.Add(index, verdict));
  }
  for (const auto& [where, status] : FindIncomplete(found->tensors, found->indices)) {
    TENSORD_RETURN_IF_ERROR(reporter.Add(where, VerdictOf(status)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExitCode> RunCheck(const CheckOptions& options, const Console& console) {
  Reporter reporter(console);
  for (const std::string& path : options.paths) {
    std::error_code ignored;
    TENSORD_RETURN_IF_ERROR(fs::is_directory(path, ignored) ? CheckDirectory(path, reporter)
                                                            : reporter.Add(path, CheckFile(path)));
  }
  return reporter.code();
}

}  // namespace tensord::ctl
