#include "src/reloader.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "src/status_macros.h"

namespace tensord {
namespace {

using std::chrono::milliseconds;

// A change that is heard is looked at when nothing more was heard for this long,
constexpr milliseconds kQuiet(100);
// and after this long even though changes go on.
constexpr milliseconds kMostPatience(1000);
// A young file's content is certain after 2 s, as model_parts.cc has it; and a bit.
constexpr milliseconds kUntilSettled(2100);
// Scans that changes or requests cause may take a fifth of one processor,
constexpr int kPausePerScan = 4;
// those that only time causes a twentieth.
constexpr int kIdlePausePerScan = 19;

// Of this thread.
std::chrono::nanoseconds CpuTime() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Serving goes first. Threads have a nice value each on Linux, whatever POSIX says.
void LowerPriority() {
  constexpr int kNice = 10;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
}

}  // namespace

Reloader::Reloader(const ReloaderOptions& options, LiveCatalog* live, Observer observer)
    : options_(options),
      live_(live),
      observer_(std::move(observer)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

absl::StatusOr<std::unique_ptr<Reloader>> Reloader::Start(const std::vector<StoreOptions>& stores,
                                                          const CatalogOptions& catalog_options,
                                                          const ReloaderOptions& options,
                                                          LiveCatalog* live, Observer observer) {
  std::unique_ptr<Reloader> reloader(new Reloader(options, live, std::move(observer)));
  if (reloader->wake_.get() < 0)
    return absl::ResourceExhaustedError("no descriptor for an eventfd");
  if (absl::StatusOr<std::unique_ptr<StoreWatch>> watch = StoreWatch::Create(options.max_watches);
      watch.ok()) {
    reloader->watch_ = *std::move(watch);
  }
  TENSORD_RETURN_IF_ERROR(reloader->LoadFirst(stores, catalog_options));
  Reloader* const self = reloader.get();
  live->SetRescanHook([self] { self->RequestRescan(); });
  reloader->thread_ = std::thread([self] { self->Run(); });
  return reloader;
}

Reloader::~Reloader() {
  if (!thread_.joinable()) return;
  live_->SetRescanHook(nullptr);
  Wake(kStop);
  thread_.join();
}

void Reloader::Wake(uint32_t wish) {
  wishes_ |= wish;
  const uint64_t one = 1;
  // Full only when it is readable already.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

absl::Status Reloader::LoadFirst(const std::vector<StoreOptions>& stores,
                                 const CatalogOptions& options) {
  const Clock::time_point begin = Clock::now();
  const Clock::duration cpu_begin = CpuTime();
  if (watch_ != nullptr) watch_->BeginScan();
  absl::StatusOr<std::shared_ptr<const Catalog>> catalog =
      Catalog::Load(stores, options, [this](const std::string& path) {
        if (watch_ != nullptr) watch_->Add(path);
      });
  if (!catalog.ok()) return catalog.status();
  ReloadReport report;
  report.current = *std::move(catalog);
  Publish(std::move(report), begin, cpu_begin);
  // This one has parsed every header. What a scan of unchanged files takes is not known yet, so
  // that nothing keeps the first one waiting.
  last_scan_took_ = last_scan_cpu_ = Clock::duration::zero();
  return absl::OkStatus();
}

void Reloader::Scan() {
  const Clock::time_point begin = Clock::now();
  const Clock::duration cpu_begin = CpuTime();
  if (watch_ != nullptr) watch_->BeginScan();
  ReloadReport report;
  report.previous = live_->Get();
  Catalog::Reloaded reloaded = Catalog::Reload(report.previous, [this](const std::string& path) {
    if (watch_ != nullptr) watch_->Add(path);
  });
  report.status = std::move(reloaded.status);
  report.current = std::move(reloaded.catalog);
  Publish(std::move(report), begin, cpu_begin);
}

void Reloader::Publish(ReloadReport report, Clock::time_point begin, Clock::duration cpu_begin) {
  // What a failed scan did not reach is watched on.
  if (watch_ != nullptr && report.status.ok()) watch_->EndScan();
  report.is_watch_complete = watch_ != nullptr && watch_->is_complete();
  last_scan_end_ = Clock::now();
  last_scan_took_ = report.took = last_scan_end_ - begin;
  last_scan_cpu_ = CpuTime() - cpu_begin;
  ++counters_.num_scans;
  counters_.last_scan_us =
      std::chrono::duration_cast<std::chrono::microseconds>(report.took).count();
  if (report.status.ok()) {
    counters_.last_success_unix_ms = std::chrono::duration_cast<milliseconds>(
                                         std::chrono::system_clock::now().time_since_epoch())
                                         .count();
  } else {
    ++counters_.num_failed_scans;
  }
  if (report.current != report.previous) {
    ++counters_.num_swaps;
    live_->Swap(report.current);
  }
  observer_(report);
}

// At least as long as the scan took, whatever it waited for.
Reloader::Clock::duration Reloader::Pause(int per_scan) const {
  return std::max(per_scan * last_scan_cpu_, last_scan_took_);
}

Reloader::Clock::time_point Reloader::NextScan() const {
  Clock::time_point next = Clock::time_point::max();
  if (options_.rescan_interval > milliseconds::zero()) {
    next = last_scan_end_ +
           std::max<Clock::duration>(options_.rescan_interval, Pause(kIdlePausePerScan));
  }
  if (live_->Get()->NeedsAnotherLook()) {
    next = std::min<Clock::time_point>(
        next, last_scan_end_ + std::max<Clock::duration>(kUntilSettled, Pause(kPausePerScan)));
  }
  return next;
}

// Returns at that time, or once one of the wishes `enough` is there.
void Reloader::WaitUntil(Clock::time_point when, uint32_t enough) {
  while (!Wants(enough | kStop)) {
    const Clock::time_point now = Clock::now();
    if (when <= now) return;
    const auto left = std::min<Clock::duration>(when - now, std::chrono::hours(1));
    const bool hears = watch_ != nullptr && (enough & kSoon) != 0;
    std::array<pollfd, 2> polled = {
        pollfd{wake_.get(), POLLIN, 0},
        pollfd{hears ? watch_->fd() : -1, POLLIN, 0},
    };
    const auto timeout = std::chrono::ceil<milliseconds>(left).count();
    poll(polled.data(), polled.size(), static_cast<int>(timeout));
    uint64_t ignored = 0;
    if (polled[0].revents != 0) {
      [[maybe_unused]] const ssize_t got = read(wake_.get(), &ignored, sizeof(ignored));
    }
    if (polled[1].revents != 0 && watch_->TakeEvents()) wishes_ |= kSoon;
  }
}

// Waits until changes pause.
void Reloader::Settle() {
  const Clock::time_point end = Clock::now() + kMostPatience;
  WaitUntil(last_scan_end_ + Pause(kPausePerScan), kNow);
  while (Clock::now() < end && !Wants(kNow | kStop)) {
    wishes_ &= ~kSoon;
    WaitUntil(std::min<Clock::time_point>(Clock::now() + kQuiet, end), kSoon | kNow);
    if (!Wants(kSoon)) return;
    // More was heard; the next look at the events is not at each of them.
    WaitUntil(std::min<Clock::time_point>(Clock::now() + kQuiet / 2, end), kNow);
    if (watch_ != nullptr) watch_->TakeEvents();
  }
}

void Reloader::Run() {
  LowerPriority();
  while (true) {
    WaitUntil(NextScan(), kSoon | kNow);
    if (Wants(kSoon) && !Wants(kNow)) Settle();
    // However often it is asked for: what is asked meanwhile is one scan.
    if (Wants(kNow)) WaitUntil(last_scan_end_ + kPausePerScan * last_scan_cpu_, 0);
    if (Wants(kStop)) return;
    wishes_ &= ~(kSoon | kNow);
    Scan();
  }
}

}  // namespace tensord
