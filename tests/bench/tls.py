#!/usr/bin/env python3
"""What TLS costs: one tensor read whole over a Unix socket, TCP, and TCP with TLS, and the same file from nginx by curl, in turns.

usage: build/venv/bin/python tests/bench/tls.py [ROUNDS] [MIB]
Prints for each the median GB/s and processor seconds a GB of server and client (`tensorctl get -o -`, or curl), the ratios that have
goals, as medians of those of each turn, and how long `tensorctl` takes from its start to the end of a small tensor.
"""
import os
import re
import shutil
import socket
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
START_SECONDS = 60


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


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port():
    with socket.socket() as probe:  # nginx cannot listen on port 0.
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve_by_nginx(directory, root, cert, key):
    """Its process, and the port that speaks TLS. Ciphers are OpenSSL's choice, as tensord's are."""
    port, directory = free_port(), directory / "nginx"
    directory.mkdir()
    temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log; {"user root;" if os.getuid() == 0 else ""}
events {{}}
http {{
  {temporary} access_log off; sendfile on; ssl_protocols TLSv1.3; ssl_certificate {cert}; ssl_certificate_key {key};
  server {{ listen 127.0.0.1:{port} ssl; root {root}; }}
}}
""")
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([binary, "-p", directory, "-c", directory / "nginx.conf"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + START_SECONDS
    while not children(process.pid):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"nginx did not start: {(directory / 'error.log').read_text()}")
        time.sleep(0.01)
    return process, port


def run(command, *pids):
    """(seconds, processor seconds of the processes of the server, the client's)."""
    server_before, begin = sum(map(cpu_seconds, pids)), time.monotonic()
    client = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(client.pid, 0)
    seconds = time.monotonic() - begin
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode != 0:
        raise SystemExit(f"{command} failed")
    return seconds, sum(map(cpu_seconds, pids)) - server_before, usage.ru_utime + usage.ru_stime


def get(address, flags, tensor):
    return [BIN / "tensorctl", "-s", address, *flags, "get", "m", tensor, "-o", "-"]


def print_row(way, measured, size):
    seconds, server, client = (statistics.median(column) for column in zip(*measured))
    gigabytes = size / 1e9
    print(f"{way:10} {gigabytes / seconds:5.2f} GB/s   CPU s/GB: server {server / gigabytes:.2f}, client {client / gigabytes:.2f}")


def print_ratio(rows, way, other, goal):
    ratio = statistics.median(theirs[0] / own[0] for own, theirs in zip(rows[way], rows[other]))
    print(f"{way} / {other}: {ratio:.2f} (goal {goal})")


def main(rounds=11, mebibytes=512):
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        size, store = mebibytes << 20, directory / "store"
        stores.write_raw(store / "m.safetensors", {"w": ("U8", (size,), os.urandom(1 << 20) * mebibytes), "small": ("U8", (16,), bytes(16))})
        authority = Authority(directory / "authority")
        cert, key = authority.server(directory / "server")
        tcp, trust = ("--listen", "127.0.0.1:0"), ("--tls-ca", authority.ca)
        servers = {"Unix": serve(store, "--listen", f"unix:{directory}/s"), "TCP": serve(store, *tcp),
                   "TLS": serve(store, *tcp, "--tls-cert", cert, "--tls-key", key)}
        nginx, port = serve_by_nginx(directory, store, cert, key)
        flags = {"Unix": (), "TCP": (), "TLS": trust}
        ways = {way: (get(address, flags[way], "w"), [server.pid]) for way, (server, address) in servers.items()}
        ways["nginx TLS"] = (["curl", "-sf", "--cacert", authority.ca, f"https://127.0.0.1:{port}/m.safetensors"], children(nginx.pid))
        rows, small = {way: [] for way in ways}, {way: [] for way in servers}
        for _ in range(rounds + 1):
            for way, (command, pids) in ways.items():
                rows[way].append(run(command, *pids))
        for _ in range(2 * rounds):
            for way, (server, address) in servers.items():
                small[way].append(run(get(address, flags[way], "small"), server.pid)[0])
        for process in [nginx, *(server for server, _ in servers.values())]:
            process.terminate()
            process.wait()
    rows = {way: measured[1:] for way, measured in rows.items()}  # The first warms up.
    for way, measured in rows.items():
        print_row(way, measured, size)
    print_ratio(rows, "TLS", "TCP", ">= 0.3")
    print_ratio(rows, "TLS", "nginx TLS", ">= 0.8")
    for way, times in small.items():
        print(f"{way:10} {1000 * statistics.median(times):5.1f} ms from start to end of 16 bytes")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
