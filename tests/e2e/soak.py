"""The soak; see soak.sh. First half: the server is killed and started anew now and then. Second half: it lives on, and what it
holds is measured while nothing runs, early and at the end."""
import argparse
import errno
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import soak_actors
from injection import environment
from soak_ledger import Ledger
from soak_growth import Growth
from words import Model, Truth

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TENSORD_BIN", ROOT / "build" / "release" / "bin"))
START_SECONDS = 30
STOP_SECONDS = 60
MOST_LIFE_SECONDS = 40  # Of a server in the first half.
FLAGS = ("--stall-timeout", "10s")


class Supervisor:
    """The server: always on the same address, killed and started by one thread only."""

    def __init__(self, store, log_path, switch, ledger, chance):
        self._store, self._log_path, self._switch = store, log_path, switch
        self._ledger, self._chance = ledger, chance
        self._socket = store.parent / "tensord.sock"
        self.address = f"unix:{self._socket}"
        self.tcp = f"127.0.0.1:{soak_actors.free_port()}"
        self.process = None

    def start(self):
        mode = self._chance.choice(["auto", "mmap", "pread"])
        disk = self._chance.choice([{"error": errno.EIO}, {"error": 0, "milliseconds": 300}])  # When it fails: fails, or is slow.
        command = [BIN / "tensord", "--store", self._store, "--listen", self.address, "--listen", self.tcp,
                   "--read-mode", mode, *FLAGS]
        with open(self._log_path, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment("pread", "/failing", switch=self._switch, **disk))
        end = time.monotonic() + START_SECONDS
        while self._log_path.read_bytes()[begin:].count(b"listening") < 2:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server does not start: {self._log_path}")
            time.sleep(0.01)
        self._ledger.count(f"server started, --read-mode {mode}")
        self._ledger.server_is_up()

    def check(self):
        """Counts a crash, and starts anew."""
        if self.process.poll() is None:
            return
        self._ledger.server_goes_down()
        self._ledger.crash(f"exit code {self.process.returncode}")
        self.start()

    def end(self, how):
        self._ledger.server_goes_down()
        self.process.send_signal(how)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._ledger.hang("the server, asked to end")
            self.process.kill()
            code = self.process.wait()
        if how == signal.SIGTERM and code not in (0, -signal.SIGKILL):
            self._ledger.crash(f"exit code {code} on SIGTERM")


def first_half(supervisor, ledger, chance, end):
    while time.monotonic() < end:
        wait = min(end, time.monotonic() + chance.uniform(5, MOST_LIFE_SECONDS))
        while time.monotonic() < wait:
            supervisor.check()
            time.sleep(0.2)
        how = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        ledger.count("fault: SIGKILL of the server" if how == signal.SIGKILL else "fault: SIGTERM of the server")
        supervisor.end(how)
        supervisor.start()


def second_half(supervisor, gate, growth, seconds):
    """A quarter of it to warm up; what is held is compared from there on."""
    begin = time.monotonic()
    for share in (0.25, 1.0):
        while time.monotonic() < begin + share * seconds:
            supervisor.check()
            time.sleep(0.2)
        with gate.closed():
            growth.measure(supervisor.process.pid)


def write_greedy(path):
    """Many rows of two bytes, of which a client may ask for one each."""
    text = json.dumps({"t": {"dtype": "U8", "shape": [1 << 30, 2], "data_offsets": [0, 1 << 31]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + (1 << 31))


def run(options, directory):
    chance = random.Random(f"{options.seed}/supervisor")
    store = directory / "store"
    store.mkdir()
    models = [Model(store, name).replace() for name in soak_actors.MODELS]
    write_greedy(store / "greedy.safetensors")
    ledger, truth, gate, growth = Ledger(), Truth(models), soak_actors.Gate(), Growth(store)
    switch = directory / "disk-fails"
    supervisor = Supervisor(store, directory / "log", switch, ledger, chance)
    supervisor.start()
    actors = soak_actors.start_all(options.seed, models, truth, ledger, gate, supervisor, switch, BIN)
    seconds = options.minutes * 60
    first_half(supervisor, ledger, chance, time.monotonic() + seconds / 2)
    second_half(supervisor, gate, growth, seconds / 2)
    gate.stop(actors, ledger)
    supervisor.end(signal.SIGTERM)
    good = ledger.report(truth) & growth.report()
    if not good:
        print(f"The server's log: {directory / 'log'}")
    return good


def main():
    parser = argparse.ArgumentParser(prog="soak.sh", description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TENSORD_SEED") or random.randrange(1, 1 << 32)))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    print(f"TENSORD_SEED={options.seed}, {options.minutes:g} minutes", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="tensord-soak-"))
    good = False
    try:
        good = run(options, directory)
    finally:
        for thread in threading.enumerate():
            assert thread is threading.main_thread() or thread.daemon
        if good and not options.keep:
            shutil.rmtree(directory)
    print("soak passed" if good else "SOAK FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
