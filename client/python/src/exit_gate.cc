#include "client/python/src/exit_gate.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace tensord::python {
namespace {

// Of the whole process. Entering raises the count and then looks whether the gate is closed,
// closing it does both the other way round, so that one of the two sees the other.
std::atomic<int> num_inside{0};
std::atomic<bool> is_closed{false};
thread_local int own_inside = 0;  // This thread's part of num_inside.
thread_local bool has_closed = false;

constexpr auto kClosePoll = std::chrono::milliseconds(1);

void Leave() {
  --own_inside;
  --num_inside;
}

bool TryEnter() {
  ++own_inside;
  ++num_inside;
  if (!is_closed || has_closed) return true;
  Leave();
  return false;
}

[[noreturn]] void AwaitEndOfProcess() {
  while (true) pause();
}

// Without the interpreter's lock.
void Enter() {
  if (!TryEnter()) AwaitEndOfProcess();
}

PyGILState_STATE EnterAndLock() {
  Enter();
  return PyGILState_Ensure();
}

PyThreadState* LeaveAndUnlock() {
  Leave();
  return PyEval_SaveThread();
}

}  // namespace

void ExitGate::Close() {
  has_closed = true;
  is_closed = true;
  PyThreadState* const state = PyEval_SaveThread();
  while (num_inside > own_inside) std::this_thread::sleep_for(kClosePoll);
  PyEval_RestoreThread(state);
}

void ExitGate::AfterForkInChild() { num_inside = own_inside; }

InsideGate::InsideGate() {
  if (TryEnter()) return;
  PyEval_SaveThread();
  AwaitEndOfProcess();
}

InsideGate::~InsideGate() { Leave(); }

OutsideGate::OutsideGate() : state_(LeaveAndUnlock()) {}

OutsideGate::~OutsideGate() {
  Enter();
  PyEval_RestoreThread(state_);
}

PythonScope::PythonScope() : state_(EnterAndLock()) {}

PythonScope::~PythonScope() {
  PyGILState_Release(state_);
  Leave();
}

}  // namespace tensord::python
