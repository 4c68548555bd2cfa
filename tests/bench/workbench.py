"""Where measures run: paths, servers started when first needed, and programs whose line of JSON is the result."""
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import make_bench_store
from servers import UNIX_SEND_BUFFER, Nginx, Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from certificates import Authority  # noqa: E402 - Needs the path above.

TICKS = os.sysconf("SC_CLK_TCK")


class NotMeasured(Exception):
    """Why a row has no figure here."""


class Workbench:
    def __init__(self, build, stores, quick):
        self.programs, self.tensord_binary = build / "bench", build / "bin" / "tensord"
        self.stores, self.quick = stores, quick
        self.scratch = Path(tempfile.mkdtemp(prefix="tensord-bench-"))
        self._servers, self._num_servers, self._offsets = {}, 0, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_servers()
        shutil.rmtree(self.scratch, ignore_errors=True)

    # ---- Stores ----

    def store(self, name):
        return make_bench_store.make(self.stores, name)

    def subject(self, name, size=None, tensor="t"):
        """Arguments that name the bytes of a tensor in its file; all of it unless a size is given."""
        path = self.store(name) / name / "model.safetensors"
        if name not in self._offsets:
            self._offsets[name] = make_bench_store.tensor_offset(path, tensor)
        offset, whole = self._offsets[name]
        return ["--file", path, "--offset", offset, "--bytes", size or whole]

    # ---- Servers ----

    @functools.cached_property
    def _authority(self):
        return Authority(self.scratch / "authority")

    @functools.cached_property
    def _identity(self):
        """The servers' certificate and key."""
        return self._authority.server(self.scratch / "server")

    @property
    def tls_ca(self):
        return self._authority.ca

    def server(self, key, start):
        if key not in self._servers:
            self._servers[key] = start()
        return self._servers[key]

    def stop_servers(self):
        for server in reversed(self._servers.values()):  # What others run in was there before them.
            server.stop()
        self._servers.clear()

    def stop_server(self, key):
        if key in self._servers:
            self._servers.pop(key).stop()

    def _path(self, name):
        self._num_servers += 1
        return self.scratch / f"{name}-{self._num_servers}"

    def _both(self, name):
        return [f"unix:{self._path(name)}", "127.0.0.1:0"]

    def tensord(self, store, *flags):
        """tensord serving one store, on a Unix socket and TCP."""
        def start():
            unix, tcp = self._both("tensord")
            command = self.tensord_command(self.store(store), unix) + ["--listen", tcp, *flags]
            return Server(command, 2, self._path("tensord.log"))
        return self.server(" ".join(["tensord", store, *flags]), start)

    def tensord_tls(self, store):
        """tensord serving one store on TCP, with TLS."""
        return self.tensord_at("127.0.0.1:0", store, "--tls-cert", self._identity[0], "--tls-key", self._identity[1])

    def tensord_at(self, listen, store, *flags, prefix=()):
        """tensord serving one store on one address."""
        command = [*prefix, *self.tensord_command(self.store(store), listen), *flags]
        return self.server(f"tensord {store} {listen}", lambda: Server(command, 1, self._path("tensord.log")))

    def tensord_command(self, store, listen):
        return [self.tensord_binary, "--store", store, "--listen", listen, "--log-format", "text"]

    def yardstick(self, program, kind, store, host="127.0.0.1"):
        """raw_server or naive_server of the store's file."""
        def start():
            listen = f"unix:{self._path(program)}" if kind == "unix" else f"{host}:0"
            tuning = ["--send-buffer", UNIX_SEND_BUFFER] if kind == "unix" else []
            return Server([self.programs / program, "--listen", listen, *self.subject(store)[:2], *tuning], 1,
                          self._path(f"{program}.log"))
        return self.server(f"{program} {kind} {store} {host}", start)

    def far(self, server, round_trip_ms):
        """The same server, behind a relay that makes each round trip take so long."""
        target = server.address("tcp")
        command = [self.programs / "far_relay", "--listen", "127.0.0.1:0", "--target", target, "--delay-us", round_trip_ms * 500]
        return self.server(f"far {target} {round_trip_ms}", lambda: Server(command, 1, self._path("far_relay.log")))

    def nginx(self):
        return self.server("nginx", lambda: Nginx(self._path("nginx"), self.stores, *self._identity))

    def flight(self, kind, store):
        def start():
            location = f"grpc+unix://{self._path('flight')}" if kind == "unix" else "grpc+tcp://127.0.0.1:0"
            return Server([sys.executable, HERE / "flight.py", "serve", location, self.subject(store)[1]], 1,
                          self._path("flight.log"))
        return self.server(f"flight {kind} {store}", start)

    # ---- Running ----

    def run(self, program, *arguments, server=None, prefix=()):
        """The JSON that a program prints. A name without a slash is one of ours."""
        command = [*prefix, self.programs / program if isinstance(program, str) else program, *arguments]
        for pid in server.pids if server else []:
            command += ["--server", pid]
        return self.run_command(command)

    def run_command(self, command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} fails: {done.stderr[-1000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def start(self, program, *arguments, prefix=()):
        """A program that runs beside the measured one; wait for it with finish()."""
        return subprocess.Popen([str(part) for part in (*prefix, self.programs / program, *arguments)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def finish(process):
        out, error = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{process.args[0]} fails: {error[-1000:]}")
        return json.loads(out.splitlines()[-1])

    @staticmethod
    def drop_caches():
        """Forgets clean pages that nobody maps; a server that maps them must be ended before."""
        os.sync()
        try:
            Path("/proc/sys/vm/drop_caches").write_text("1")
        except OSError as error:
            raise NotMeasured(f"the page cache cannot be dropped here: {error.strerror}") from error

    def pids(self):
        return [os.getpid()] + [pid for server in self._servers.values() for pid in server.pids]


class Relay:
    """Stands between a client and a Unix socket and counts what the server sends."""

    def __init__(self, path, target):
        self.address, self.received = f"unix:{path}", 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._target = target.removeprefix("unix:")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source, sink, count):
        while data := source.recv(1 << 20):
            if count:
                self.received += len(data)
            try:
                sink.sendall(data)
            except OSError:
                break
        sink.close()


def cpu_of(pid):
    """Seconds of CPU that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


class OthersWatch:
    """Tells how many cores other processes (and, on a guest, its host) took between two moments."""

    def __init__(self, workbench):
        self._workbench = workbench
        self._begin = self._now()

    def _now(self):
        values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, _, _, irq, softirq, steal = values
        children = os.times().children_user + os.times().children_system
        ours = children + sum(cpu_of(pid) for pid in self._workbench.pids())
        return time.monotonic(), (user + nice + system + irq + softirq + steal) / TICKS, ours

    def cores(self):
        begin, now = self._begin, self._now()
        wall = max(now[0] - begin[0], 1e-3)
        return max(0.0, (now[1] - begin[1] - (now[2] - begin[2])) / wall)
