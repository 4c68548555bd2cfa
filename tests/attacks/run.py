"""Prints the attack table: raw gRPC, tensord, and the goal.

usage: run.py [--seconds N] [--unix] [--priority N] [ATTACK...]
Quiet and attacked times alternate, so that p99 is compared with that of the same minute. `--priority`: of server and honest client,
as nice has it, so that other work on the machine counts less.
"""
import argparse
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import vectors
from big_store import make_store_with_names
from conftest import BIN, ROOT, Server
from honest_client import HonestClient, percentile
from observing import Observation

MIB = 1 << 20
GOALS = {"continuation_flood": "+32 MiB", "rapid_reset": "+64 MiB", "hpack_string": "cut <= 1 s, <= 1 CPU s"}
DEFAULT_GOAL = "+64 MiB, <= 1 CPU s/s, p99 <= 3x"
ROUND_SECONDS = 2  # Of quiet, and of attack, in turns.
PAUSE_SECONDS = 0.1  # Of an attacker whose connection was cut.


class Row:
    """What attacks on one server did, summed up."""

    def __init__(self):
        self.growth_bytes = self.cpu = self.seconds = self.failed = 0
        self.results, self.quiet, self.attacked = [], [], []

    def __str__(self):
        cuts = [result.closed_after for result in self.results if result.closed_after is not None]
        state = f"cut {len(cuts)} times, after {max(cuts):.2f} s at most" if cuts else "not cut"
        quiet, attacked = (percentile(sorted(times), 0.99) for times in (self.quiet, self.attacked))
        return (f"+{self.growth_bytes / MIB:.0f} MiB, {self.cpu / self.seconds:.2f} CPU s/s, {state}, "
                f"{sum(each.done for each in self.results)} in {sum(each.bytes_sent for each in self.results) / MIB:.1f} MiB, "
                f"p99 {quiet:.1f} -> {attacked:.1f} ms: {attacked / quiet:.1f}x, {self.failed} failed")


def attack_once(row, running, honest, attack):
    honest.answers()
    time.sleep(ROUND_SECONDS)
    row.quiet += honest.answers()[0]
    with Observation(running.pid) as seen:
        end, first = time.monotonic() + ROUND_SECONDS, True
        while first or time.monotonic() < end:  # Cut, it comes again.
            row.results.append(attack(running.address, end))
            time.sleep(PAUSE_SECONDS)
            first = False
    times, failed = honest.answers()
    row.attacked += times
    row.failed += failed
    row.growth_bytes = max(row.growth_bytes, seen.growth_bytes)
    row.cpu += seen.cpu
    row.seconds += seen.seconds


def measure(arguments, attack, options):
    """One row's cells for one server."""
    priority = [] if options.priority is None else ["nice", "-n", str(options.priority)]
    running = Server([*priority, *map(str, arguments)])
    try:
        honest, row = HonestClient(running.address, priority), Row()
        while running.process.poll() is None and row.seconds < options.seconds:
            attack_once(row, running, honest, attack)
        honest.close()
        return str(row) if running.process.poll() is None else f"died; {row}"
    finally:
        with suppress(Exception):
            running.process.kill()
            running.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--unix", action="store_true")
    parser.add_argument("--priority", type=int)
    parser.add_argument("--only", choices=["raw", "guarded"])
    parser.add_argument("attacks", nargs="*", metavar="ATTACK")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        store = make_store_with_names(Path(directory) / "store")
        for name in options.attacks or vectors.ALL:
            listen = f"unix:{directory}/{name}.sock" if options.unix else "127.0.0.1:0"
            servers = {"raw": [ROOT / "build/release/tests/unguarded_server", listen],
                       "guarded": [BIN / "tensord", "--store", store, "--listen", listen]}
            print(f"{name}: goal {GOALS.get(name, DEFAULT_GOAL)}", flush=True)
            for kind, arguments in servers.items():
                if options.only in (None, kind):
                    print(f"  {kind:8} {measure(arguments, vectors.ALL[name], options)}", flush=True)


if __name__ == "__main__":
    main()
