// Keeps threads from going back into an interpreter that ends.
#pragma once

#include <nanobind/nanobind.h>

namespace tensord::python {

// Counts the threads that are in this module's code and hold the interpreter's lock, or are about
// to take it.
//
// When the interpreter ends, CPython before 3.14 ends each thread that asks for the lock, by
// unwinding its stack, which C++ turns into an abort. Only daemon threads can be so late. So the
// gate is closed first: that waits until nobody is inside, and whoever comes later sleeps until
// the process has ended. Thread-safe.
class ExitGate {
 public:
  // With the interpreter's lock, which others may take meanwhile. The calling thread may pass the
  // gate still.
  static void Close();

  // With the interpreter's lock, on the thread that forked.
  static void AfterForkInChild();
};

// Inside while it lives: the guard of each function that Python calls.
class InsideGate {
 public:
  InsideGate();
  ~InsideGate();
  InsideGate(const InsideGate&) = delete;
  InsideGate& operator=(const InsideGate&) = delete;
};

// Within an InsideGate: outside again, and without the interpreter's lock, while it lives.
class OutsideGate {
 public:
  OutsideGate();
  ~OutsideGate();
  OutsideGate(const OutsideGate&) = delete;
  OutsideGate& operator=(const OutsideGate&) = delete;

 private:
  PyThreadState* const state_;
};

// Inside and with the interpreter's lock, on any thread that has not got it.
class PythonScope {
 public:
  PythonScope();
  ~PythonScope();
  PythonScope(const PythonScope&) = delete;
  PythonScope& operator=(const PythonScope&) = delete;

 private:
  const PyGILState_STATE state_;
};

}  // namespace tensord::python
