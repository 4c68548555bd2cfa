"""Fixtures of the end-to-end tests: the real binaries, started on a free port over a store in a temporary directory.

TENSORD_BIN names the directory of the binaries; default: build/release/bin.
"""
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TENSORD_BIN", ROOT / "build" / "release" / "bin"))
START_SECONDS = 60  # Far above what a start takes, so that only a hung one meets it.
COMMAND_SECONDS = 300

sys.path.insert(0, str(Path(__file__).parent))

import fault_rounds  # noqa: E402 - Needs the path above.


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # One of the processes of pytest -n.
        session.config.workeroutput["fault_rounds"] = dict(fault_rounds.counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    fault_rounds.counts.update(getattr(node, "workeroutput", {}).get("fault_rounds", {}))


def pytest_terminal_summary(terminalreporter):
    for line in fault_rounds.summary():
        terminalreporter.write_line(line)


class Server:
    """A running tensord. `address` is what clients connect to; `log` what it wrote to standard error so far. `may_exit`: exit
    codes with which it may end by itself, also before it listens (`address` is None then)."""

    def __init__(self, arguments, may_exit=(), **options):
        self.may_exit = may_exit
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="backslashreplace", **options)
        self.address, self._lines, self._known = None, [], threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._known.wait(START_SECONDS) or self.address is None:
            if self.address is None and self._ended_as_it_may():
                return
            self.process.kill()
            self._reader.join()
            raise RuntimeError(f"{arguments} did not start:\n{self.log}")

    def _read(self):
        for line in self.process.stderr:
            self._lines.append(line)
            found = re.search(r"listening address=\"?([^\s\"]+)", line)
            if found and self.address is None:
                self.address = found.group(1)
                self._known.set()
        self._known.set()  # It ended: nobody needs to wait on.

    def _ended_as_it_may(self):
        try:
            return bool(self.may_exit) and self.process.wait(START_SECONDS) in self.may_exit
        except subprocess.TimeoutExpired:
            return False

    @property
    def log(self):
        return "".join(self._lines)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """Asks the server to end, as an init system does, and returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join()
        return self.process.returncode


@pytest.fixture(scope="session")
def bin_dir():
    for name in ("tensord", "tensorctl"):
        assert (BIN / name).is_file(), f"{BIN / name} is missing: build it, or set TENSORD_BIN"
    return BIN


def _servers(bin_dir):
    started = []

    def start(store_dir, *flags, **options):
        arguments = [str(bin_dir / "tensord"), "--store", str(store_dir)]
        if "--listen" not in flags:
            arguments += ["--listen", "127.0.0.1:0"]
        started.append(Server([*arguments, *map(str, flags)], **options))
        return started[-1]

    yield start
    codes = {server.pid: server.stop() for server in started}
    bad = any(codes[server.pid] not in (0, *server.may_exit) for server in started)
    assert not bad, f"a server did not end with 0: {codes}\n{''.join(s.log for s in started)}"


@pytest.fixture
def server(bin_dir):
    """server(store_dir, *flags, **options of Server): starts a server that lives for one test and must end with 0."""
    yield from _servers(bin_dir)


@pytest.fixture(scope="module")
def module_server(bin_dir):
    """The same for all tests of a module."""
    yield from _servers(bin_dir)


class Ctl:
    """Runs tensorctl against one server. `run` returns what subprocess does, with bytes; the others demand exit code 0."""

    def __init__(self, bin_dir, address):
        self.program, self.address = str(bin_dir / "tensorctl"), address

    def run(self, *arguments, env=None, **options):
        environment = {**os.environ, "TENSORD_ADDRESS": self.address, **(env or {})}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run([self.program, *map(os.fsencode, map(str, arguments))], env=environment,
                              timeout=COMMAND_SECONDS, check=False, **options)

    def bytes(self, *arguments):
        result = self.run(*arguments)
        assert result.returncode == 0, (arguments, result.returncode, result.stderr.decode(errors="backslashreplace"))
        return result.stdout

    def text(self, *arguments):
        return self.bytes(*arguments).decode()


@pytest.fixture(scope="session")
def ctl(bin_dir):
    """ctl(server): a Ctl for that server; ctl("host:port") for any other address."""
    return lambda server: Ctl(bin_dir, getattr(server, "address", server))
