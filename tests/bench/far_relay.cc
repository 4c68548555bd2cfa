// Makes a server seem far away: what passes between it and its clients takes its time, each way.
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/sockets.h"

namespace tensord::bench {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr size_t kMaxBytesOnTheWay = 64 << 20;  // Beyond, the sender waits, as with a full switch.

using Clock = std::chrono::steady_clock;

// What is on its way in one direction of one connection. An empty piece is the end. Thread-safe.
class Way {
 public:
  explicit Way(Clock::duration delay) : delay_(delay) {}

  void Push(std::vector<char> piece) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return num_bytes_ < kMaxBytesOnTheWay; });
    num_bytes_ += piece.size();
    pieces_.emplace_back(Clock::now() + delay_, std::move(piece));
    changed_.notify_all();
  }

  // The next piece, when it is due.
  std::vector<char> Pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !pieces_.empty(); });
    auto [due, piece] = std::move(pieces_.front());
    pieces_.pop_front();
    num_bytes_ -= piece.size();
    changed_.notify_all();
    lock.unlock();
    std::this_thread::sleep_until(due);
    return std::move(piece);
  }

 private:
  const Clock::duration delay_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<Clock::time_point, std::vector<char>>> pieces_;
  size_t num_bytes_ = 0;
};

void Receive(int from, Way& way) {
  while (true) {
    std::vector<char> piece(kPieceBytes);
    const ssize_t received = recv(from, piece.data(), piece.size(), 0);
    piece.resize(received > 0 ? static_cast<size_t>(received) : 0);
    const bool is_end = piece.empty();
    way.Push(std::move(piece));
    if (is_end) return;
  }
}

void Send(Way& way, int to) {
  bool is_there = true;
  while (true) {
    const std::vector<char> piece = way.Pop();
    if (piece.empty()) break;
    is_there = is_there && SendAll(to, piece.data(), piece.size());
  }
  shutdown(to, SHUT_WR);
}

void Relay(int client, int server, Clock::duration delay) {
  Way up(delay), down(delay);
  std::thread threads[] = {
      std::thread([&] { Receive(client, up); }), std::thread([&] { Send(up, server); }),
      std::thread([&] { Receive(server, down); }), std::thread([&] { Send(down, client); })};
  for (std::thread& thread : threads) thread.join();
  close(client);
  close(server);
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string listen, target;
  int64_t delay_us = 0;
  CLI::App app("Relays connections, and keeps what passes for a while");
  app.add_option("--listen", listen)->required();
  app.add_option("--target", target)->required();
  app.add_option("--delay-us", delay_us, "Each way")->required();
  CLI11_PARSE(app, argc, argv);
  AcceptLoop(listen, {}, [&](int client) {
    const int server = ConnectTo(target);
    std::thread([=] { Relay(client, server, std::chrono::microseconds(delay_us)); }).detach();
  });
}
