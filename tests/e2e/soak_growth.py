"""What the server holds while nothing runs: early, and at the end."""
import time

from processes import anon_bytes, num_fds, num_mappings, num_threads

SETTLE_SECONDS = 3.0
# What may differ between two quiet moments: allocator's slack, descriptors of a scan, threads that gRPC has not yet ended.
LIMITS = {"RssAnon MiB": 8.0, "fds": 8, "threads": 12, "mappings": 64, "mappings of deleted files": 2}


class Growth:
    def __init__(self, store):
        self._store, self._seen = str(store), []

    def measure(self, pid):
        time.sleep(SETTLE_SECONDS)
        self._seen.append((pid, {
            "RssAnon MiB": anon_bytes(pid) / 2**20, "fds": num_fds(pid), "threads": num_threads(pid),
            "mappings": num_mappings(pid), "mappings of deleted files": num_mappings(pid, "(deleted)")}))

    def report(self):
        (pid, early), (last_pid, late) = self._seen
        good = True
        for what, limit in LIMITS.items():
            grew = late[what] - early[what]
            good &= grew <= limit
            print(f"  {what}: {early[what]:.4g} -> {late[what]:.4g}, may grow by {limit}{'' if grew <= limit else '  TOO MUCH'}")
        if pid != last_pid:
            print("  not of one process: the server died between the two")
        return good and pid == last_pid
