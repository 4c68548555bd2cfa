"""What the kernel says of a process."""
import contextlib
import os
import re
import time
from pathlib import Path

SETTLE_SECONDS = 60  # Far above what freeing takes, so that only a leak meets it.


def anon_bytes(pid):
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def num_fds(pid):
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def open_files(pid):
    """Paths of what its descriptors are open for."""
    paths = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # Closed in between.
            paths.append(os.readlink(fd))
    return paths


def num_threads(pid):
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def num_mappings(pid, name=""):
    """Mappings of files whose path has `name` in it; all mappings without one."""
    return sum(1 for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if name in line)


def wait_until(is_true, what):
    """Polls until a fact holds; fails after a time that only a hang or a leak takes."""
    end = time.monotonic() + SETTLE_SECONDS
    while not is_true():
        assert time.monotonic() < end, f"still not so: {what}"
        time.sleep(0.02)
