"""What an attack costs a server: memory and processor time."""
import os
import threading
import time
from pathlib import Path

from processes import anon_bytes

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.01


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Observation:
    """Within `with`: samples the process. Afterwards: peak and growth of its memory, processor time, wall time.

    Memory is what the process alone holds: pages of the store that it has sent are the page cache's, and the kernel takes them back.
    """

    def __init__(self, pid):
        self.pid, self._stop = pid, threading.Event()

    def __enter__(self):
        self.before_bytes = self.peak_bytes = anon_bytes(self.pid)
        self._cpu, self._started = cpu_seconds(self.pid), time.monotonic()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                self.peak_bytes = max(self.peak_bytes, anon_bytes(self.pid))
            except (OSError, TypeError):
                return  # It has ended; whoever looks at the process says so.

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.seconds, self.cpu = time.monotonic() - self._started, cpu_seconds(self.pid) - self._cpu

    @property
    def growth_bytes(self):
        return self.peak_bytes - self.before_bytes
