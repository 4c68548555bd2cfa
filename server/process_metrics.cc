#include "server/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace tensord {
namespace {

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The fields of /proc/self/stat behind the name, which may hold spaces: the first is number 3.
std::vector<uint64_t> StatFields() {
  const std::string text = ReadFile("/proc/self/stat");
  const size_t end = text.rfind(')');
  std::vector<uint64_t> fields;
  if (end == std::string::npos) return fields;
  for (const absl::string_view word :
       absl::StrSplit(text.substr(end + 1), ' ', absl::SkipWhitespace())) {
    uint64_t number = 0;
    (void)absl::SimpleAtoi(word, &number);  // The state is a letter; negative ones do not matter.
    fields.push_back(number);
  }
  return fields;
}

uint64_t CountDescriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(directory);
  return count - 1;  // The directory itself.
}

// Seconds since 1970 at which the machine started.
uint64_t BootTime() {
  const std::string text = ReadFile("/proc/stat");
  const size_t begin = text.find("\nbtime ");
  if (begin == std::string::npos) return 0;
  uint64_t seconds = 0;
  const size_t number = begin + 7;
  (void)absl::SimpleAtoi(text.substr(number, text.find('\n', number) - number), &seconds);
  return seconds;
}

}  // namespace

void AppendProcessMetrics(MetricText& text) {
  constexpr size_t kThreads = 20 - 3;
  constexpr size_t kStartTicks = 22 - 3;
  constexpr size_t kRssPages = 24 - 3;
  const std::vector<uint64_t> stat = StatFields();
  if (stat.size() > kRssPages) {
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    text.Gauge("process_resident_memory_bytes", "Memory in use, mapped files included.",
               static_cast<double>(stat[kRssPages]) * page);
    text.Gauge("process_threads", "Threads.", static_cast<double>(stat[kThreads]));
    text.Gauge("process_start_time_seconds", "When the process started, since 1970.",
               static_cast<double>(BootTime()) + static_cast<double>(stat[kStartTicks]) / ticks);
  }
  text.Gauge("process_open_fds", "Open file descriptors.", static_cast<double>(CountDescriptors()));
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  text.Gauge("process_max_fds", "Descriptors that the process may have.",
             static_cast<double>(limit.rlim_cur));
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  text.Family("tensord_page_faults_total", "counter", "Page faults; major ones waited for a disk.");
  text.Sample({{"kind", "major"}}, static_cast<double>(usage.ru_majflt));
  text.Sample({{"kind", "minor"}}, static_cast<double>(usage.ru_minflt));
}

}  // namespace tensord
