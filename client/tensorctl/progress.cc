#include "client/tensorctl/progress.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/output_file.h"

namespace tensord::ctl {
namespace {

constexpr std::chrono::milliseconds kRedrawEvery{100};
constexpr absl::string_view kClearLine = "\r\x1b[K";

void Draw(absl::string_view text) {
  (void)WriteAll(STDERR_FILENO, absl::StrCat(kClearLine, text), "standard error");
}

}  // namespace

std::string ProgressText(absl::string_view label, uint64_t done_bytes, uint64_t total_bytes,
                         double seconds, uint64_t begin_bytes) {
  const double part =
      total_bytes == 0 ? 1 : static_cast<double>(done_bytes) / static_cast<double>(total_bytes);
  std::string text = absl::StrFormat("%s  %3.0f%%  %s of %s", label, std::min(part, 1.0) * 100,
                                     HumanSize(done_bytes), HumanSize(total_bytes));
  if (seconds > 0) {
    const auto rate =
        static_cast<uint64_t>(static_cast<double>(done_bytes - begin_bytes) / seconds);
    absl::StrAppend(&text, "  ", HumanSize(rate), "/s");
  }
  return text;
}

Progress::Progress(bool shown, std::string label, uint64_t total_bytes, uint64_t begin_bytes)
    : shown_(shown),
      label_(std::move(label)),
      total_bytes_(total_bytes),
      begin_bytes_(begin_bytes) {}

Progress::~Progress() {
  if (shown_) Draw("");
}

void Progress::Update(uint64_t done_bytes) {
  if (!shown_ || Clock::now() < next_draw_) return;
  next_draw_ = Clock::now() + kRedrawEvery;
  const std::chrono::duration<double> elapsed = Clock::now() - begin_;
  Draw(ProgressText(label_, done_bytes, total_bytes_, elapsed.count(), begin_bytes_));
}

}  // namespace tensord::ctl
