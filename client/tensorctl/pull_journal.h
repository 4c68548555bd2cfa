// What an unfinished pull has, written down so that the next command goes on from there.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/owned_fd.h"

namespace tensord::ctl {

// The journal's name within the directory; a model's own files never begin with a dot.
inline constexpr char kJournalName[] = ".tensorctl-pull.json";

// DIR/.tensorctl-pull.json, from the first byte of a pull to its last. Locks the directory against
// other pulls as long as it lives, and is removed by Finish. Only moves.
//
// A partial file is what it says it is where a process was killed: its bytes were written in order.
// After a crash of the system it may have a hole, so what was begun before the last boot is fetched
// anew.
class PullJournal {
 public:
  // What the server said of a file when its first byte came.
  struct Entry {
    uint64_t size_bytes = 0;
    std::string tag;
    std::string sha256;
    bool is_complete = false;  // It has been renamed to its name.
  };

  // Takes up the journal in `directory`, or begins one. ABORTED while another command pulls into
  // it; FAILED_PRECONDITION where what is there is of another model or version: says what to do.
  // `restart` drops that, partial files included.
  static absl::StatusOr<PullJournal> Open(const std::string& directory, const std::string& model,
                                          const std::string& version, bool restart);

  // Null for a file that was not begun, or before the last boot.
  const Entry* Find(const std::string& file) const;

  // Written to disk before it returns.
  absl::Status Set(const std::string& file, Entry entry);

  // Nothing is left to resume.
  absl::Status Finish();

 private:
  PullJournal(std::string directory, OwnedFd lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}

  absl::Status Load(const std::string& model, const std::string& version, bool restart);
  absl::Status Save() const;
  void RemovePartialFiles() const;

  std::string directory_;
  OwnedFd lock_;  // On the directory itself, so that no file is left behind for it.
  std::string model_;
  std::string version_;
  std::map<std::string, Entry> files_;
};

}  // namespace tensord::ctl
