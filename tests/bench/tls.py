#!/usr/bin/env python3
"""What TLS costs: one tensor read whole over a Unix socket, TCP, and TCP with TLS, in turns, by `tensorctl get -o -`.

usage: build/venv/bin/python tests/bench/tls.py [ROUNDS] [MIB]
Prints for each the median GB/s, and processor seconds a GB of server and client.
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import stores  # noqa: E402 - Needs the path above.
from certificates import Authority  # noqa: E402

BIN = Path(os.environ.get("TENSORD_BIN", ROOT / "build" / "release" / "bin"))
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def serve(store, *flags):
    process = subprocess.Popen([BIN / "tensord", "--store", store, *map(str, flags)], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = re.search(r"listening address=\"?([^\s\"]+)", line)
        if found:
            return process, found.group(1)
    raise SystemExit("tensord did not start")


def read_once(server, address, flags):
    """(seconds, server's processor seconds, client's)."""
    server_before, begin = cpu_seconds(server.pid), time.monotonic()
    client = subprocess.Popen([BIN / "tensorctl", "-s", address, *map(str, flags), "get", "m", "w", "-o", "-"],
                              stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(client.pid, 0)
    seconds = time.monotonic() - begin
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode != 0:
        raise SystemExit(f"reading from {address} failed")
    return seconds, cpu_seconds(server.pid) - server_before, usage.ru_utime + usage.ru_stime


def main(rounds=11, mebibytes=512):
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        size = mebibytes << 20
        stores.write_raw(directory / "store" / "m.safetensors", {"w": ("U8", (size,), os.urandom(1 << 20) * mebibytes)})
        authority = Authority(directory / "authority")
        cert, key = authority.server(directory / "server")
        tcp = ("--listen", "127.0.0.1:0")
        ways = {
            "Unix": (serve(directory / "store", "--listen", f"unix:{directory}/s"), ()),
            "TCP": (serve(directory / "store", *tcp), ()),
            "TLS": (serve(directory / "store", *tcp, "--tls-cert", cert, "--tls-key", key), ("--tls-ca", authority.ca)),
        }
        rows = {way: [] for way in ways}
        for _ in range(rounds + 1):
            for way, ((server, address), flags) in ways.items():
                rows[way].append(read_once(server, address, flags))
        for (server, _), _ in ways.values():
            server.terminate()
            server.wait()
        for way, measured in rows.items():
            seconds, server, client = (statistics.median(column) for column in zip(*measured[1:]))  # The first warms up.
            gigabytes = size / 1e9
            print(f"{way:5} {gigabytes / seconds:5.2f} GB/s   CPU s/GB: server {server / gigabytes:.2f}, "
                  f"client {client / gigabytes:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
