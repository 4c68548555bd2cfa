"""What the soak has seen, from all threads."""
import collections
import sys
import threading
import time

AFTER_DOWN_SECONDS = 5.0  # Clients' backoff: how long after a restart a call may still not get through.


class Ledger:
    """Counts, and whether the server was down at some moment. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._counts = collections.Counter()
        self._bad = collections.Counter()
        self._up_since = None
        self._begin = time.monotonic()

    def count(self, what):
        with self._lock:
            self._counts[what] += 1

    def _report_bad(self, kind, what):
        with self._lock:
            self._bad[kind] += 1
        print(f"{time.monotonic() - self._begin:8.1f} s  {kind}: {what}", file=sys.stderr, flush=True)

    def wrong_bytes(self, what):
        self._report_bad("wrong bytes", what)

    def crash(self, what):
        self._report_bad("crashes", what)

    def hang(self, what):
        self._report_bad("hangs", what)

    def surprise(self, what):
        """An end of a call that no fault explains."""
        self._report_bad("unexplained errors", what)

    def server_goes_down(self):
        with self._lock:
            self._up_since = None

    def server_is_up(self):
        with self._lock:
            self._up_since = time.monotonic()

    def was_down(self, begin):
        """Whether the server was not there, or hardly, at some time since `begin`."""
        with self._lock:
            return self._up_since is None or self._up_since + AFTER_DOWN_SECONDS > begin

    def report(self, truth):
        print(f"{time.monotonic() - self._begin:.0f} s, {truth.streams} streams judged, {truth.bytes / 1e9:.1f} GB compared")
        for what, number in sorted(self._counts.items()):
            print(f"  {number:9}  {what}")
        for kind in ("wrong bytes", "crashes", "hangs", "unexplained errors"):
            print(f"  {self._bad[kind]:9}  {kind}, wanted 0")
        return not self._bad and truth.streams > 0
