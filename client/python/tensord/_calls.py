"""What calls obey, and what they have cost."""

from __future__ import annotations

import functools
import importlib
import threading
import weakref

from ._core import Call, Cancellation


class Calls:
    """Makes the calls of one client, and counts them. Thread-safe."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._received = 0
        self._lock = threading.Lock()

    @property
    def bytes_received(self) -> int:
        """Data bytes of all counted calls."""
        return self._received

    def new(self, timeout: float | None = None, version: str | None = None) -> Call:
        """A call with `timeout` seconds, None being the client's, of one version of its model or any."""
        return self._make(timeout, version, Cancellation())

    def count(self, call: Call) -> None:
        """To be told once of each call that brought data."""
        with self._lock:
            self._received += call.bytes_received

    def cancellable(self) -> CancellableCalls:
        """The same for one piece of work, which may be cancelled as a whole."""
        return CancellableCalls(self)

    def _make(self, timeout: float | None, version: str | None, cancellation: Cancellation) -> Call:
        return Call(self._timeout if timeout is None else timeout, version or "", cancellation)


class CancellableCalls(Calls):
    """Calls that end together. They are counted as `parent`'s."""

    def __init__(self, parent: Calls) -> None:
        super().__init__(parent._timeout)
        self._parent = parent
        self._cancellation = Cancellation()
        _end_with_interpreter()
        _unattended.add(self)

    def new(self, timeout: float | None = None, version: str | None = None) -> Call:
        return self._make(timeout, version, self._cancellation)

    def count(self, call: Call) -> None:
        self._parent.count(call)

    def cancellable(self) -> CancellableCalls:
        return self

    def cancel(self) -> None:
        """Ends the call that runs and those that would follow, with CancelledError."""
        self._cancellation.cancel()


# Work on threads of this package, whose results somebody else has to fetch.
_unattended: weakref.WeakSet[CancellableCalls] = weakref.WeakSet()


def _end_all() -> None:
    """Nobody will fetch the results any more, and the interpreter joins the threads before it ends."""
    for calls in list(_unattended):
        calls.cancel()


@functools.cache
def _end_with_interpreter() -> None:
    """Hooks run in reverse order: ours comes before the one of concurrent.futures, which joins; atexit's would come after.

    Where CPython has no such function, the interpreter waits until the calls have ended by themselves.
    """
    importlib.import_module("concurrent.futures.thread")
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_end_all)
