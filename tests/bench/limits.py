"""Less than the machine has: a link of 1 Gbit/s, a memory cgroup. Both take root."""
import os
import subprocess
from pathlib import Path

from workbench import NotMeasured

RATE_MBIT = 1000


class Link:
    """A cable to a network namespace, at the near end held to 1 Gbit/s by tbf. Whoever runs with `prefix` is at the far end."""

    NEAR, FAR, ADDRESS = "tensordb0", "tensordb1", "10.211.7.1"

    def __init__(self):
        self._namespace = f"tensord-bench-{os.getpid()}"
        self.pids, self.prefix = [], ["ip", "netns", "exec", self._namespace]
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as error:
            self.stop()
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            raise NotMeasured(f"no link can be made here: {reason}") from error

    def _make(self):
        def run(*words):
            subprocess.run(words, check=True, capture_output=True, text=True)

        run("ip", "netns", "add", self._namespace)
        run("ip", "link", "add", self.NEAR, "type", "veth", "peer", "name", self.FAR, "netns", self._namespace)
        run("ip", "addr", "add", f"{self.ADDRESS}/24", "dev", self.NEAR)
        run("ip", "-n", self._namespace, "addr", "add", "10.211.7.2/24", "dev", self.FAR)
        run("ip", "link", "set", self.NEAR, "up")
        run("ip", "-n", self._namespace, "link", "set", self.FAR, "up")
        run("tc", "qdisc", "add", "dev", self.NEAR, "root", "tbf", "rate", f"{RATE_MBIT}mbit", "burst", "256kb", "latency", "20ms")

    def stop(self):
        for words in (["link", "del", self.NEAR], ["netns", "del", self._namespace]):
            subprocess.run(["ip", *words], check=False, capture_output=True)


class MemoryLimit:
    """A memory cgroup of our own, version 1 or 2. Whoever runs with `prefix` is in it, and the page cache that they fill."""

    def __init__(self, limit_bytes):
        for parent, file in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")):
            self._path = parent / f"tensord-bench-{os.getpid()}"
            try:
                self._path.mkdir()
                (self._path / file).write_text(str(limit_bytes))
                break
            except OSError as error:
                reason = error
                self.stop()
        else:
            raise NotMeasured(f"no memory cgroup can be made here: {reason}")
        self.pids, self.prefix = [], ["sh", "-c", f'echo $$ > {self._path}/cgroup.procs; exec "$@"', "sh"]

    def stop(self):
        if self._path.exists():
            self._path.rmdir()
