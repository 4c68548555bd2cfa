#include "server/log_sink.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "src/owned_fd.h"

namespace tensord {
namespace {

constexpr int kPipeBytes = 4096;  // The least that Linux makes: full with anything in it.

class LogSinkTest : public testing::Test {
 protected:
  LogSinkTest() {
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    reader_ = OwnedFd(ends[0]);
    writer_ = OwnedFd(ends[1]);
    EXPECT_EQ(fcntl(writer_.get(), F_SETPIPE_SZ, kPipeBytes), kPipeBytes);
    sink_ = std::make_shared<LogSink>(writer_.get());
    logger_ = std::make_unique<spdlog::logger>("test", sink_);
    logger_->set_pattern("%v");
  }

  // What is in the pipe now.
  std::string Read() const {
    std::string text(1 << 20, '\0');
    fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
    const ssize_t size = read(reader_.get(), text.data(), text.size());
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return text;
  }

  OwnedFd reader_;
  OwnedFd writer_;
  std::shared_ptr<LogSink> sink_;
  std::unique_ptr<spdlog::logger> logger_;
};

TEST_F(LogSinkTest, LinesArriveWhole) {
  logger_->info("one");
  EXPECT_EQ(Read(), "one\n");
  logger_->info("two");
  EXPECT_EQ(Read(), "two\n");
  EXPECT_EQ(sink_->num_lost(), 0u);
}

TEST_F(LogSinkTest, LinesThatNobodyReadsAreDroppedAndCounted) {
  const std::string line(kPipeBytes - 1, 'a');
  logger_->info(line);
  for (int i = 0; i < 1000; ++i) logger_->info("there is no room for this");
  EXPECT_EQ(sink_->num_lost(), 1000u);
  EXPECT_EQ(Read(), line + "\n");
  logger_->info("and now there is");
  EXPECT_EQ(Read(), "and now there is\n");
  EXPECT_EQ(sink_->num_lost(), 1000u);
}

TEST_F(LogSinkTest, AfterALineWithoutItsEndTheNextBeginsAnew) {
  logger_->info(std::string(2 * kPipeBytes, 'a'));
  EXPECT_EQ(sink_->num_lost(), 1u);
  EXPECT_EQ(Read(), std::string(kPipeBytes, 'a'));
  logger_->info("next");
  EXPECT_EQ(Read(), "\nnext\n");
  EXPECT_EQ(sink_->num_lost(), 1u);
}

TEST_F(LogSinkTest, WithoutAReaderLinesAreLost) {
  reader_ = OwnedFd();
  logger_->info("to nobody");
  EXPECT_EQ(sink_->num_lost(), 1u);
}

TEST(LogSinkOnAFullDisk, LinesAreLost) {
  const OwnedFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  const auto sink = std::make_shared<LogSink>(full.get());
  spdlog::logger logger("test", sink);
  logger.info("no space left");
  EXPECT_EQ(sink->num_lost(), 1u);
}

}  // namespace
}  // namespace tensord
