"""Forks, threads, signals, and other copies of gRPC in the same process."""

import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tensord

FORK = """
import os, sys, time
import tensord
url = sys.argv[1]

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print("child:", type(error).__name__, error, flush=True)
            os._exit(1)
    for _ in range(6000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    return "hung"

def read():
    assert tensord.load_file(url)["wte.weight"].shape == (96, 64)
"""


def test_children_of_a_process_that_has_only_imported_read_as_any_other(run_program, url):
    assert "read" in run_program(FORK + """
assert child(read) == 0
assert child(lambda: child(read) == 0 or os._exit(3)) == 0
read()
print("read")
""", url)


def test_a_child_forked_after_use_is_told_so_and_its_parent_goes_on(run_program, url):
    """Whatever it does, old client or new one, closing included, and never by waiting for threads that it does not have."""
    assert "told" in run_program(FORK + """
client = tensord.Client(url)
client.list_models()

def refused():
    for use in (client.list_models, lambda: tensord.Client(url), read):
        try:
            use()
        except tensord.ForkError as error:
            assert "spawn" in str(error) and error.reason == "FORKED"
        else:
            raise AssertionError("no error")
    client.close()

for _ in range(3):
    assert child(refused) == 0
    client.list_models()
    read()
print("told")
""", url)


def test_spawned_workers_read(url, tmp_path):
    program = tmp_path / "pool.py"
    program.write_text("""
import multiprocessing, sys
import tensord

def part(rank):
    with tensord.safe_open(sys.argv[1], framework="np") as f:
        return f.get_slice("wte.weight")[tensord.Shard(rank, 3)].shape[0]

if __name__ == "__main__":
    part(0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(part, range(3)))
""")
    result = subprocess.run([sys.executable, program, url], capture_output=True, text=True, timeout=120)
    assert "[32, 32, 32]" in result.stdout, result.stderr


def test_threads_share_a_client(url, tensors):
    names = [name for name in tensors if tensors[name].size]
    with tensord.safe_open(url, framework="np") as f, ThreadPoolExecutor(8) as pool:
        def read(i):
            name = names[i % len(names)]
            return name, f.get_tensor(name)
        for name, got in pool.map(read, range(200)):
            np.testing.assert_array_equal(got, tensors[name])


def test_calls_release_the_gil(tmp_path):
    """While one thread waits for a server that is not there, another one runs."""
    client = tensord.Client(f"unix:{tmp_path}/none.sock", connect_timeout=1.0)
    ended = threading.Event()

    def wait():
        with pytest.raises(ConnectionError):
            client.list_models()
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    steps = 0
    while not ended.wait(0.001):
        steps += 1
    thread.join()
    assert steps > 10


def test_ctrl_c_ends_a_call(run_program, tmp_path):
    assert "interrupted" in run_program("""
import signal, sys, threading, os
import tensord
client = tensord.Client(f"unix:{sys.argv[1]}", connect_timeout=100)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    client.list_models()
except KeyboardInterrupt:
    print("interrupted")
""", tmp_path / "none.sock")


def test_importing_starts_no_thread_and_connects_to_nobody(run_program):
    assert run_program("""
import os
import tensord
print(len(os.listdir("/proc/self/task")), "numpy" in __import__("sys").modules)
""").split() == ["1", "False"]


def test_other_copies_of_grpc_work_in_the_same_process(run_program, url):
    """Imported first, in between and last; each used before and after the others."""
    program = """
import importlib, itertools, sys
url, order = sys.argv[1], sys.argv[2].split(",")
modules = {name: importlib.import_module(name) for name in order}
grpc, flight, tensord = modules["grpc"], modules["pyarrow.flight"], modules["tensord"]
import pyarrow as pa

class Echo(flight.FlightServerBase):
    def do_get(self, context, ticket):
        return flight.RecordBatchStream(pa.table({"x": [1, 2, 3]}))

def use_grpc():
    address = tensord.parse_url(url).address
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/tensord.v1.TensorStore/ListModels", lambda m: m, lambda m: m)
        assert b"small" in call(b"", timeout=30)

with Echo("grpc://127.0.0.1:0") as server:
    def use_flight():
        client = flight.connect(f"grpc://127.0.0.1:{server.port}")
        assert client.do_get(flight.Ticket(b"")).read_all().num_rows == 3
        client.close()
    def use_tensord():
        assert tensord.load_file(url)["wte.weight"].shape == (96, 64)
    for use in (use_grpc, use_flight, use_tensord, use_grpc, use_flight, use_tensord):
        use()
print("all")
"""
    for order in ("tensord,grpc,pyarrow.flight", "grpc,pyarrow.flight,tensord", "pyarrow.flight,tensord,grpc"):
        assert "all" in run_program(program, url, order)


def test_the_module_shows_nothing_but_its_entry():
    """So nothing of it can be mistaken for another library's symbol of the same name."""
    path = tensord._core.__file__
    table = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in table.splitlines()] == ["PyInit__core"]
    needed = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
    libraries = {line.split()[1] for line in needed.splitlines() if "NEEDED" in line}
    brought = {name.name for name in Path(path).with_name("lib").iterdir()}
    system = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "ld-linux-x86-64.so.2"}
    assert libraries <= brought | system, libraries - brought - system
    assert re.search(r"RPATH +\$ORIGIN/lib\n", needed), "found from wherever the package lies"


def test_the_libraries_in_the_wheel_are_the_ones_in_use(run_program):
    """Though Debian's own lie on the system's path."""
    loaded = run_program("""
import tensord
print(*{line.split()[-1] for line in open("/proc/self/maps") if "/lib" in line}, sep="\\n")
""")
    ours = [line for line in loaded.splitlines() if re.search("absl|protobuf|re2", line)]
    assert len(ours) > 10 and all("/tensord/lib/" in line for line in ours), ours
