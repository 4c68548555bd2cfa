"""How cost grows: measures tensord over ranges of sizes, streams, selections, files, slow readers and cores.

usage: scale.py [--json FILE] [--only NAME...] [--build DIR] [--quick]
Needs nothing but Python's own library and the programs of build/release, so it runs where those were carried.
Each series is {"name", "x", "y", "points": [{"x": ..., series: value}]}; plot.py draws them.
"""
import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import make_bench_store
from servers import Server
from workbench import ROOT, NotMeasured, Workbench

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ROUNDS = 3
MAX_CONNECTIONS_PER_PEER = 64


def main():
    parser = argparse.ArgumentParser(prog="scale.sh", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "scale.json")
    parser.add_argument("--only", nargs="+", choices=list(SERIES), default=list(SERIES))
    parser.add_argument("--quick", action="store_true", help="fewer points")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--stores", type=Path, default=ROOT / "build" / "bench" / "stores")
    options = parser.parse_args()
    out = {"cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg(), "series": []}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    with Workbench(options.build, options.stores, options.quick) as workbench:
        for name in options.only:
            series = {"name": name, "x": SERIES[name].x, "y": SERIES[name].y, "points": []}
            out["series"].append(series)
            try:
                for point in SERIES[name].measure(workbench):
                    series["points"].append(point)
                    print(name, json.dumps(point), flush=True)
            except NotMeasured as reason:
                series["not_measured"] = str(reason)
                print(name, "NOT MEASURED:", reason, flush=True)
            workbench.stop_servers()
            options.json.write_text(json.dumps(out, indent=1))
    return 0


class Series:
    def __init__(self, x, y, measure):
        self.x, self.y, self.measure = x, y, measure


# ---- Stores, sparse where bytes do not matter ----

def sparse_store(workbench, name, models):
    """A store of {model: {tensor: (dtype, shape, size)}}."""
    directory = workbench.stores / f"scale-{name}"
    if not directory.exists():
        scratch = workbench.stores / f".scale-{name}.partial"
        for model, tensors in models().items():
            make_bench_store.write_sparse(scratch / model / "model.safetensors", tensors)
        scratch.rename(directory)
    return directory


def sized(workbench):
    sizes = [4 * KIB << (2 * i) for i in range(11)]
    return sparse_store(workbench, "sizes", lambda: {
        f"b{size}": {"t": ("U8", (size,), size)} for size in sizes}), sizes


def serve(workbench, store, cores=None):
    path = workbench.scratch / "socket"
    command = workbench.tensord_command(store, f"unix:{path}")
    if cores:
        command = ["taskset", "-c", cores, *command]
    return Server(command, 1, workbench.scratch / "scale.log")


def read(workbench, server, store, model, size, *options, connections=1):
    """The median round's result."""
    path = store / model / "model.safetensors"
    offset, _ = make_bench_store.tensor_offset(path, "t")
    runs = [workbench.run("tensord_read", "--address", server.addresses[0], "--model", model, "--tensor", "t",
                          "--connections", connections, "--file", path, "--offset", offset, "--bytes", size, *options,
                          server=server) for _ in range(1 if workbench.quick else ROUNDS)]
    return sorted(runs, key=lambda run: run["seconds"] / run["runs"])[len(runs) // 2]


def costs(run):
    return {"GB/s": run["bytes"] / run["seconds"] / 1e9,
            "client CPU s/GB": run["client_cpu_s"] / run["bytes"] * 1e9,
            "server CPU s/GB": run["server_cpu_s"] / run["bytes"] * 1e9}


# ---- Series ----

def by_size(workbench):
    """Time of one tensor; warm connection, memory faulted."""
    store, sizes = sized(workbench)
    server = serve(workbench, store)
    try:
        for size in sizes:
            repeats = max(1, min(500, 256 * MIB // size))
            run = read(workbench, server, store, f"b{size}", size, "--repeats", repeats)
            yield {"x": size, "us": run["p50_us"], **costs(run)}
    finally:
        server.stop()


def by_streams(workbench):
    """Streams that together read 1 GiB; each has a connection, as far as a peer may have so many."""
    store, _ = sized(workbench)
    server = serve(workbench, store)
    try:
        for streams in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            run = read(workbench, server, store, f"b{GIB}", GIB, "--streams", streams,
                       connections=min(streams, MAX_CONNECTIONS_PER_PEER))
            yield {"x": streams, **costs(run), "server MiB": run["server_anon_bytes"] / MIB}
    finally:
        server.stop()


def by_selections(workbench):
    """Tensors of 4 KiB read by one ReadMany."""
    counts = (1, 10, 100, 1_000, 10_000, 100_000)
    store = sparse_store(workbench, "selections", lambda: {
        f"n{count}": {f"t{i}": ("U8", (4096,), 4096) for i in range(count)} for count in counts})
    server = serve(workbench, store)
    try:
        for count in counts:
            run = workbench.run("tensord_many", "--address", server.addresses[0], "--model", f"n{count}", "--directory",
                                store / f"n{count}", "--repeats", max(3, min(200, 20_000 // count)), server=server)
            yield {"x": count, "us each": run["seconds"] / run["items"] * 1e6, **costs(run)}
    finally:
        server.stop()


def by_files(workbench):
    """Files in the store: time until ready, memory then."""
    for count in (1, 10, 100, 500, 2_000):
        store = sparse_store(workbench, f"files-{count}", lambda: {
            f"m{i:04}": {f"t{j}": ("U8", (4096,), 4096) for j in range(300)} for i in range(count)})
        path = workbench.scratch / "start-up"
        runs = [workbench.run("start_up", "--unix-socket", path, "--model", "m0000", "--tensor", "t0", "--",
                              *workbench.tensord_command(store, f"unix:{path}")) for _ in range(ROUNDS)]
        yield {"x": count, "ms to ready": statistics.median(run["seconds"] for run in runs) * 1e3,
               "server MiB": statistics.median(run["server_anon_bytes"] for run in runs) / MIB}


def by_slow_readers(workbench):
    """Readers that stopped reading: what they cost the server, and what a fast reader beside them gets."""
    store, _ = sized(workbench)
    for stalled in (0, 16, 64, 128, 256):
        server = serve(workbench, store)
        try:
            beside = workbench.start("stalled_readers", "--address", server.addresses[0], "--model", f"b{GIB}", "--tensor",
                                     "t", "--streams", stalled, "--connections", MAX_CONNECTIONS_PER_PEER // 2,
                                     "--narrow", "--seconds", 5, "--server", server.pids[0])
            time.sleep(2)  # Until what was sent to them has filled every buffer.
            run = read(workbench, server, store, f"b{64 * MIB}", 64 * MIB, "--at-least-seconds", 1)
            held = workbench.finish(beside)
            yield {"x": stalled, "GB/s": run["bytes"] / run["seconds"] / 1e9,
                   "server MiB": held["server_anon_bytes"] / MIB}
        finally:
            server.stop()


def by_cores(workbench):
    """The server held to a share of a core by the cpu cgroup."""
    store, _ = sized(workbench)
    with CpuLimit() as limit:
        for cores in (0.25, 0.5, 1.0, 1.5, 2.0):
            server = serve(workbench, store)
            try:
                limit.hold(server.pids[0], cores)
                yield {"x": cores, **costs(read(workbench, server, store, f"b{GIB}", GIB))}
            finally:
                server.stop()


class CpuLimit:
    """A cpu cgroup of our own, version 1 or 2."""
    PERIOD_US = 100_000

    def __enter__(self):
        for parent, is_v2 in ((Path("/sys/fs/cgroup/cpu"), False), (Path("/sys/fs/cgroup"), True)):
            self.path, self.is_v2 = parent / f"tensord-bench-{os.getpid()}", is_v2
            try:
                self.path.mkdir()
                self._write(1)
                return self
            except OSError as error:
                reason = error
                if self.path.exists():
                    self.path.rmdir()
        raise NotMeasured(f"no cpu cgroup can be made: {reason}")

    def __exit__(self, *_):
        self.path.rmdir()

    def _write(self, cores):
        quota = int(cores * self.PERIOD_US)
        if self.is_v2:
            (self.path / "cpu.max").write_text(f"{quota} {self.PERIOD_US}")
        else:
            (self.path / "cpu.cfs_period_us").write_text(str(self.PERIOD_US))
            (self.path / "cpu.cfs_quota_us").write_text(str(quota))

    def hold(self, pid, cores):
        self._write(cores)
        (self.path / "cgroup.procs").write_text(str(pid))


SERIES = {
    "tensor size": Series("bytes of the tensor", "us", by_size),
    "streams": Series("concurrent streams, on at most 64 connections", "GB/s", by_streams),
    "selections": Series("selections in one ReadMany, 4 KiB each", "us each", by_selections),
    "files": Series("files in the store, 300 tensors each", "ms to ready", by_files),
    "slow readers": Series("readers that have stopped reading", "GB/s", by_slow_readers),
    "cores": Series("cores that the server may use", "GB/s", by_cores),
}

if __name__ == "__main__":
    sys.exit(main())
