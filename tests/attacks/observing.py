"""What an attack does to a server: memory, processor time, and how others are served meanwhile."""
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.01


def rss_bytes(pid):
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Observation:
    """Within `with`: samples the process. Afterwards: peak and growth of its memory, processor time, wall time."""

    def __init__(self, pid):
        self.pid, self._stop = pid, threading.Event()

    def __enter__(self):
        self.before_bytes = self.peak_bytes = rss_bytes(self.pid)
        self._cpu, self._started = cpu_seconds(self.pid), time.monotonic()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                self.peak_bytes = max(self.peak_bytes, rss_bytes(self.pid))
            except (OSError, TypeError):
                return  # It has ended; whoever looks at the process says so.

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.seconds, self.cpu = time.monotonic() - self._started, cpu_seconds(self.pid) - self._cpu

    @property
    def growth_bytes(self):
        return self.peak_bytes - self.before_bytes


class HonestClient:
    """Calls Health/Check all the time, from a process of its own. `answers()`: what it measured since the last time."""

    def __init__(self, address, prefix=()):
        self._process = subprocess.Popen([*prefix, sys.executable, __file__, address], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def answers(self):
        """(milliseconds of each call that was answered, number of calls that failed)."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        words = self._process.stdout.readline().split()
        return sorted(float(word) for word in words[1:]), int(words[0])

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def percentile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("inf")


def serve_requests(address):
    """The other process of HonestClient."""
    import grpc  # Not above: whoever attacks has no use for it.
    pause_seconds = 0.002
    with grpc.insecure_channel(address.replace("unix:/", "unix:///", 1)) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=None, response_deserializer=None)
        check(b"", wait_for_ready=True, timeout=60)
        print("ready", flush=True)
        lock, times, failed, ended = threading.Lock(), [], [0], threading.Event()

        def call():
            while not ended.wait(pause_seconds):
                started = time.monotonic()
                try:
                    check(b"", timeout=10)
                except grpc.RpcError:
                    with lock:
                        failed[0] += 1
                    continue
                with lock:
                    times.append(1000 * (time.monotonic() - started))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        for _ in sys.stdin:
            with lock:
                line = " ".join([str(failed[0]), *(f"{each:.3f}" for each in times)])
                times.clear()
                failed[0] = 0
            print(line, flush=True)
        ended.set()
        thread.join()


if __name__ == "__main__":
    serve_requests(sys.argv[1])
