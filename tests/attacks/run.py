"""Prints the attack table: raw gRPC, tensord, and the goal.

usage: run.py [--seconds N] [--unix] [ATTACK...]
"""
import argparse
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import vectors
from big_store import make_store
from conftest import BIN, ROOT, Server
from observing import HonestClient, Observation, percentile

MIB = 1 << 20
GOALS = {"continuation_flood": "+32 MiB", "rapid_reset": "+64 MiB", "hpack_string": "cut <= 1 s, <= 1 CPU s"}
DEFAULT_GOAL = "+64 MiB, <= 1 CPU s/s, p99 <= 3x"
BASELINE_SECONDS = 3
PAUSE_SECONDS = 0.1  # Of an attacker whose connection was cut.


def measure(arguments, attack, seconds):
    """One row's cells for one server."""
    running = Server([str(each) for each in arguments])
    try:
        honest = HonestClient(running.address)
        honest.answers()
        time.sleep(BASELINE_SECONDS)
        before, _ = honest.answers()
        with Observation(running.pid) as seen:
            results, end = [], time.monotonic() + seconds
            while not results or time.monotonic() < end:  # Cut, it comes again.
                results.append(attack(running.address, end))
                time.sleep(PAUSE_SECONDS)
        during, failed = honest.answers()
        ratio = percentile(during, 0.99) / percentile(before, 0.99)
        honest.close()
        cuts = [result.closed_after for result in results if result.closed_after is not None]
        state = "died" if running.process.poll() is not None else (
            f"cut {len(cuts)} times, after {max(cuts):.2f} s at most" if cuts else "not cut")
        return (f"+{seen.growth_bytes / MIB:.0f} MiB, {seen.cpu:.1f} CPU s in {seen.seconds:.1f} s, {state}, "
                f"{sum(each.done for each in results)} in {sum(each.bytes_sent for each in results) / MIB:.1f} MiB, "
                f"p99 {ratio:.1f}x, {failed} failed")
    finally:
        with suppress(Exception):
            running.process.kill()
            running.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--unix", action="store_true")
    parser.add_argument("--only", choices=["raw", "guarded"])
    parser.add_argument("attacks", nargs="*", metavar="ATTACK")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        store = make_store(Path(directory) / "store")
        for name in options.attacks or vectors.ALL:
            listen = f"unix:{directory}/{name}.sock" if options.unix else "127.0.0.1:0"
            servers = {"raw": [ROOT / "build/release/tests/unguarded_server", listen],
                       "guarded": [BIN / "tensord", "--store", store, "--listen", listen]}
            print(f"{name}: goal {GOALS.get(name, DEFAULT_GOAL)}", flush=True)
            for kind, arguments in servers.items():
                if options.only in (None, kind):
                    print(f"  {kind:8} {measure(arguments, vectors.ALL[name], options.seconds)}", flush=True)


if __name__ == "__main__":
    main()
