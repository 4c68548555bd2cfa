// Clients that survive a fork of their process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/call_threads.h"
#include "src/mutex.h"
#include "tensord/client.h"

namespace tensord::python {

// Where statuses of this module, never of a server, say why: "CLOSED" or "FORKED".
inline constexpr char kReasonPayload[] = "tensord.python/reason";

// Calls of one thread at once: one, and those of signal handlers that interrupt it.
inline constexpr size_t kMaxNestedCalls = 8;

// A connected client, and the threads that run calls whose caller waits for signals meanwhile.
struct Session {
  explicit Session(Client connected) : client(std::move(connected)) {}

  Client client;
  CallThreads threads{kMaxNestedCalls};
};

// Held for the length of a call.
using Lease = std::shared_ptr<Session>;

// Makes its session when it is first needed. Thread-safe.
//
// gRPC's threads and locks do not survive a fork. So once a process has used a session, its forked
// children get FAILED_PRECONDITION for whatever they ask for, instead of a wait for threads that
// they do not have. Children of a process that has used none connect as if they had not been
// forked.
class SessionSlot {
 public:
  // INVALID_ARGUMENT as Client::Connect.
  static absl::StatusOr<std::unique_ptr<SessionSlot>> Create(std::string address,
                                                             ClientOptions options);
  ~SessionSlot();

  // FAILED_PRECONDITION after Close, and in a
  // child of a process that had used a session.
  absl::StatusOr<Lease> Acquire();

  // Ends the session as soon as no call runs.
  void Close();

 private:
  friend class ForkGuard;
  SessionSlot(std::string address, ClientOptions options);

  const std::string address_;
  const ClientOptions options_;
  std::shared_ptr<Session> session_;  // Guarded by the one mutex of all slots.
  bool closed_ = false;               // The same.
};

// What the interpreter calls around a fork, in this order, on the thread that forks.
void BeforeFork();
void AfterForkInParent();
void AfterForkInChild();

}  // namespace tensord::python
