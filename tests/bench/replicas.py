#!/usr/bin/env python3
"""How throughput grows with servers: one client reads from 1, 2, 3 and 4 replicas on this machine, each of which may use a share of a
processor only, so that they and not the client are what limits. As root, because cgroups are made.

usage: tests/bench/replicas.py [--share 0.1] [--seconds 5] [--most 4] [--build build/release]
Prints a line of JSON for each number of servers.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import make_bench_store
from servers import Server

PERIOD_US = 100_000
STREAMS_PER_SERVER = 2  # So that a server has work while the client takes in what another one sent.


@contextlib.contextmanager
def cpu_group(name, share):
    """A cpu cgroup, version 1 or 2, whose processes may together use `share` of a processor."""
    is_v2 = not Path("/sys/fs/cgroup/cpu").is_dir()
    group = Path("/sys/fs/cgroup" if is_v2 else "/sys/fs/cgroup/cpu") / name
    group.mkdir()
    try:
        quota = int(share * PERIOD_US)
        if is_v2:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        yield group
    finally:
        group.rmdir()


def warm(path):
    """Else the first servers would spend their share on bringing the file in, for those that come after them."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


@contextlib.contextmanager
def replica(binaries, store, scratch, share, number):
    """The address of a server on a free port of loopback."""
    server = Server([binaries / "tensord", "--store", store, "--listen", "127.0.0.1:0", "--http-listen", "off"], 1,
                    scratch / f"replica{number}.log")
    with cpu_group(f"tensord-replica-{os.getpid()}-{number}", share) as group:
        try:
            (group / "cgroup.procs").write_text(str(server.process.pid))
            yield server.addresses[0]
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--share", type=float, default=0.1, help="of a processor, for each server")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--most", type=int, default=4, help="servers")
    parser.add_argument("--build", type=Path, default=Path(__file__).resolve().parents[2] / "build" / "release")
    options = parser.parse_args()
    binaries = options.build / "bin"
    with tempfile.TemporaryDirectory(prefix="tensord-replicas-") as directory:
        scratch, store = Path(directory), Path(directory) / "store"
        model = store / "m" / "model.safetensors"
        make_bench_store.write_sparse(model, {"t": ("U8", (1 << 30,), 1 << 30)})
        warm(model)
        for count in range(1, options.most + 1):
            with contextlib.ExitStack() as stack:
                addresses = [stack.enter_context(replica(binaries, store, scratch, options.share, number)) for number in range(count)]
                bench = [binaries / "tensorctl", "--server", "ipv4:" + ",".join(addresses), "bench", "--json", "--streams",
                         str(STREAMS_PER_SERVER * count), "--seconds", str(options.seconds)]
                loads = json.loads(subprocess.run(bench, check=True, stdout=subprocess.PIPE).stdout)["loads"]
            print(json.dumps({"servers": count, "GB/s": round(loads[0]["bytes_per_second"] / 1e9, 2)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
