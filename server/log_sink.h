// Where the lines of the log go.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/strings/string_view.h"

namespace tensord {

// Writes lines to a descriptor, but never waits long for who reads them: a pipe that nobody empties
// would stop every call that logs, and the process could not even be asked to end. Lines that find
// no room are dropped and counted. Thread-safe.
class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // How long the first line without room waits; those behind it do not wait until there is room.
  static constexpr int kPatienceMs = 100;

  // `fd` stays the caller's.
  explicit LogSink(int fd) : fd_(fd) {}

  uint64_t num_lost() const { return num_lost_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}  // Nothing is kept back.

 private:
  bool Write(absl::string_view text);

  const int fd_;
  // Guarded by base_sink's mutex.
  bool is_stalled_ = false;  // The line before found no room.
  bool is_torn_ = false;     // The last one that found some lacks its end.
  std::atomic<uint64_t> num_lost_ = 0;
};

}  // namespace tensord
