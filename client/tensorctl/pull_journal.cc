#include "client/tensorctl/pull_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/tensorctl/file_name.h"
#include "client/tensorctl/output_file.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Another one after each boot; empty where the system does not tell, and then nothing is resumed.
std::string BootId() { return ReadAll("/proc/sys/kernel/random/boot_id"); }

std::string PathOf(const std::string& directory) { return directory + "/" + kJournalName; }

std::string Text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

PullJournal::Entry EntryOf(const Json& json) {
  PullJournal::Entry entry;
  entry.tag = Text(json, "tag");
  entry.sha256 = Text(json, "sha256");
  const auto size = json.find("size_bytes");
  if (size != json.end() && size->is_number_unsigned()) entry.size_bytes = size->get<uint64_t>();
  const auto complete = json.find("complete");
  entry.is_complete = complete != json.end() && complete->is_boolean() && complete->get<bool>();
  return entry;
}

absl::Status Stale(const std::string& directory, const std::string& what) {
  return absl::FailedPreconditionError(
      absl::StrCat(Quote(directory), " holds an unfinished pull of ", what,
                   ". Run the command again with --restart to drop that and fetch everything of "
                   "what is served now, or pull into another directory"));
}

}  // namespace

absl::StatusOr<PullJournal> PullJournal::Open(const std::string& directory,
                                              const std::string& model, const std::string& version,
                                              bool restart) {
  OwnedFd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", Quote(directory)));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::AbortedError(absl::StrCat("another command pulls into ", Quote(directory)));
  }
  PullJournal journal(directory, std::move(lock));
  TENSORD_RETURN_IF_ERROR(journal.Load(model, version, restart));
  return journal;
}

absl::Status PullJournal::Load(const std::string& model, const std::string& version, bool restart) {
  const std::string text = ReadAll(PathOf(directory_));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool is_ours = json.is_object() && json.value("format", Json()) == Json(kFormat) &&
                       json.value("files", Json()).is_object();
  std::map<std::string, Entry> files;
  if (is_ours) {
    for (const auto& [name, entry] : json["files"].items()) {
      if (CheckFileName(name).ok() && entry.is_object()) files[name] = EntryOf(entry);
    }
  }
  const bool is_same = is_ours && Text(json, "model") == model && Text(json, "version") == version;
  model_ = model;
  version_ = version;
  if (!text.empty() && !is_same && !restart) {
    if (!is_ours) return Stale(directory_, "something, and its journal cannot be read");
    if (Text(json, "model") != model) {
      return Stale(directory_,
                   absl::StrCat("model ", Quote(Text(json, "model")), ", not ", Quote(model)));
    }
    return Stale(directory_, absl::StrCat("version ", Quote(Text(json, "version")), " of model ",
                                          Quote(model), ", which has version ", Quote(version),
                                          " now: it was replaced in between"));
  }
  files_ = std::move(files);
  if (restart || !is_same) {
    RemovePartialFiles();
    files_.clear();
  } else if (Text(json, "boot") != BootId() || BootId().empty()) {
    files_.clear();
  }
  return Save();
}

const PullJournal::Entry* PullJournal::Find(const std::string& file) const {
  const auto found = files_.find(file);
  return found == files_.end() ? nullptr : &found->second;
}

absl::Status PullJournal::Set(const std::string& file, Entry entry) {
  files_[file] = std::move(entry);
  return Save();
}

absl::Status PullJournal::Finish() {
  if (unlink(PathOf(directory_).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", Quote(PathOf(directory_))));
}

// Under another name first: a journal is whole, or the one before.
absl::Status PullJournal::Save() const {
  Json files = Json::object();
  for (const auto& [name, entry] : files_) {
    files[name] = {{"size_bytes", entry.size_bytes},
                   {"tag", entry.tag},
                   {"sha256", entry.sha256},
                   {"complete", entry.is_complete}};
  }
  const Json json = {{"format", kFormat},
                     {"model", model_},
                     {"version", version_},
                     {"boot", BootId()},
                     {"files", std::move(files)}};
  TENSORD_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(PathOf(directory_)));
  TENSORD_RETURN_IF_ERROR(
      file.Write(json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n"));
  return file.Commit();
}

void PullJournal::RemovePartialFiles() const {
  for (const auto& [name, entry] : files_) {
    if (!entry.is_complete) unlink(PartialPath(directory_ + "/" + name).c_str());
  }
}

}  // namespace tensord::ctl
