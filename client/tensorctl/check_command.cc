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

// Sorted. What cannot be listed is an error of the whole walk: a file that nobody looked at must
// not count as good.
absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->path().extension() == ".safetensors" && !it->is_directory(ignored)) {
      files.push_back(it->path().string());
    }
  }
  if (error) return absl::ErrnoToStatus(error.value(), "cannot list the directory");
  if (files.empty()) return absl::NotFoundError("no *.safetensors file below this directory");
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<ExitCode> CheckAll(const std::vector<std::string>& files, const Console& console) {
  ExitCode code = ExitCode::kOk;
  for (const std::string& file : files) {
    const Verdict verdict = CheckFile(file);
    if (!verdict.error.empty()) code = ExitCode::kFailed;
    TENSORD_RETURN_IF_ERROR(Report(file, verdict, console));
  }
  return code;
}

}  // namespace

absl::StatusOr<ExitCode> RunCheck(const CheckOptions& options, const Console& console) {
  ExitCode worst = ExitCode::kOk;
  for (const std::string& path : options.paths) {
    std::error_code ignored;
    absl::StatusOr<std::vector<std::string>> files = std::vector<std::string>{path};
    if (fs::is_directory(path, ignored)) files = FilesBelow(path);
    if (!files.ok()) {
      worst = ExitCode::kFailed;
      TENSORD_RETURN_IF_ERROR(Report(path, VerdictOf(files.status()), console));
      continue;
    }
    TENSORD_ASSIGN_OR_RETURN(const ExitCode code, CheckAll(*files, console));
    if (code != ExitCode::kOk) worst = code;
  }
  return worst;
}

}  // namespace tensord::ctl
