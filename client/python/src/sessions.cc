#include "client/python/src/sessions.h"

#include <unistd.h>

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "client/python/src/exit_gate.h"
#include "src/status_macros.h"

namespace tensord::python {
namespace {

// Of the whole process, because a fork concerns it as a whole.
struct Process {
  Mutex mutex;
  absl::flat_hash_set<SessionSlot*> slots ABSL_GUARDED_BY(mutex);
  bool grpc_started ABSL_GUARDED_BY(mutex) = false;
  bool stranded ABSL_GUARDED_BY(mutex) = false;  // Forked after that.
  pid_t pid ABSL_GUARDED_BY(mutex) = getpid();
};

// Leaked: the interpreter may collect slots after static destructors have run.
Process& ThisProcess() {
  static auto* const process = new Process();
  return *process;
}

absl::Status Unusable(absl::string_view reason, absl::string_view message) {
  absl::Status status = absl::FailedPreconditionError(message);
  status.SetPayload(kReasonPayload, absl::Cord(reason));
  return status;
}

absl::Status Stranded() {
  return Unusable("FORKED",
                  "this process was forked after its parent had used tensord: use it in children "
                  "only, or start them with multiprocessing's \"spawn\" or \"forkserver\"");
}

}  // namespace

// The steps around a fork. Holds the mutex from before the fork until after it.
class ForkGuard {
 public:
  static void Before() ABSL_NO_THREAD_SAFETY_ANALYSIS { ThisProcess().mutex.lock(); }

  static void AfterInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS { ThisProcess().mutex.unlock(); }

  static void AfterInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Process& process = ThisProcess();
    process.pid = getpid();
    if (process.grpc_started) process.stranded = true;
    // Never destroyed: that would wait for threads that only the parent has.
    for (SessionSlot* slot : process.slots) {
      new std::shared_ptr<Session>(std::exchange(slot->session_, nullptr));
    }
    process.mutex.unlock();
  }

  // Whether the process was forked behind the interpreter's back, e.g. by a C library.
  static bool ForkedUnseen(const Process& process) ABSL_EXCLUSIVE_LOCKS_REQUIRED(process.mutex) {
    return process.grpc_started && process.pid != getpid();
  }
};

SessionSlot::SessionSlot(std::string address, ClientOptions options)
    : address_(std::move(address)), options_(std::move(options)) {
  MutexLock lock(ThisProcess().mutex);
  ThisProcess().slots.insert(this);
}

absl::StatusOr<std::unique_ptr<SessionSlot>> SessionSlot::Create(std::string address,
                                                                 ClientOptions options) {
  std::unique_ptr<SessionSlot> slot(new SessionSlot(std::move(address), std::move(options)));
  TENSORD_RETURN_IF_ERROR(slot->Acquire().status());
  return slot;
}

SessionSlot::~SessionSlot() {
  Close();
  MutexLock lock(ThisProcess().mutex);
  ThisProcess().slots.erase(this);
}

absl::StatusOr<Lease> SessionSlot::Acquire() {
  Process& process = ThisProcess();
  MutexLock lock(process.mutex);
  if (closed_) return Unusable("CLOSED", absl::StrCat("the client of ", address_, " is closed"));
  if (process.stranded || ForkGuard::ForkedUnseen(process)) return Stranded();
  if (session_ == nullptr) {
    // Under the lock, though it may read credentials: no fork may come in between.
    process.grpc_started = true;
    process.pid = getpid();
    TENSORD_ASSIGN_OR_RETURN(Client client, Client::Connect(address_, options_));
    session_ = std::make_shared<Session>(std::move(client));
  }
  return session_;
}

void SessionSlot::Close() {
  std::shared_ptr<Session> last;
  MutexLock lock(ThisProcess().mutex);
  closed_ = true;
  if (ThisProcess().stranded) return;
  last = std::exchange(session_, nullptr);
}

void BeforeFork() { ForkGuard::Before(); }
void AfterForkInParent() { ForkGuard::AfterInParent(); }

void AfterForkInChild() {
  ExitGate::AfterForkInChild();
  ForkGuard::AfterInChild();
}

}  // namespace tensord::python
