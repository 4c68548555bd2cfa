"""Who takes part in the soak: readers of all kinds, and those who break what they read. Each is a thread with a generator of
its own; each step is short, so that the gate can hold all of them."""
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time

import grpc

from byte_proxy import ByteProxy, any_treatment
from reading import Background, judge, open_channel, read, start
from resuming import read_resuming
from wire import pb, rpc
from words import WrongBytes

# name -> what streams of it may end with besides OK, where no restart of the server explains it.
CODE = grpc.StatusCode
BROKEN = {(CODE.DATA_LOSS, "FILE_CHANGED"), (CODE.FAILED_PRECONDITION, "FILE_INVALID"), (CODE.NOT_FOUND, "MODEL_NOT_FOUND"),
          (CODE.NOT_FOUND, "TENSOR_NOT_FOUND"), (CODE.FAILED_PRECONDITION, "VERSION_CHANGED")}
MODELS = {
    "stable0": set(), "stable1": set(),
    "renamed0": {(CODE.FAILED_PRECONDITION, "VERSION_CHANGED")}, "renamed1": {(CODE.FAILED_PRECONDITION, "VERSION_CHANGED")},
    "cut0": BROKEN, "cut1": BROKEN, "overwritten": BROKEN, "deleted": BROKEN,
    "failing": {(CODE.DATA_LOSS, "READ_ERROR"), (CODE.DATA_LOSS, "FILE_CHANGED"), (CODE.FAILED_PRECONDITION, "FILE_INVALID"),
                (CODE.NOT_FOUND, "MODEL_NOT_FOUND"), (CODE.NOT_FOUND, "TENSOR_NOT_FOUND")},
}
BUSY = {(CODE.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"), (CODE.RESOURCE_EXHAUSTED, "OUT_OF_BUFFERS")}
VARIANTS = [("t", {}), ("t", {}), ("small", {}), ("t", {"checksum": True}), ("t", {"columns": slice(2, 900, 3)}),
            ("t", {"columns": slice(0, 512)}), ("t", {"chunk_bytes": 64 << 10}),
            ("t", {"columns": slice(7, 1000, 1), "checksum": True})]
STALLED_SECONDS = 12  # Beyond the stall timeout of the soak's server.
KILLED_CLIENT_SECONDS = 0.2
BACKOFF_SECONDS = 0.2
PULL_SECONDS = 120
JOIN_SECONDS = 150  # Above every deadline of a step.


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Gate:
    """Lets actors take steps, or holds them all."""

    def __init__(self):
        self._condition = threading.Condition()
        self._is_open, self._is_over, self._running, self._actors = True, False, 0, 0

    def enter(self):
        """Waits until a step may begin; False: no more."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_open or self._is_over)
            if self._is_over:
                return False
            self._running += 1
            return True

    def leave(self):
        with self._condition:
            self._running -= 1
            self._condition.notify_all()

    @contextlib.contextmanager
    def closed(self):
        with self._condition:
            self._is_open = False
            assert self._condition.wait_for(lambda: self._running == 0, JOIN_SECONDS), "a step hangs"
        yield
        with self._condition:
            self._is_open = True
            self._condition.notify_all()

    def stop(self, actors, ledger):
        with self._condition:
            self._is_over = True
            self._condition.notify_all()
        for name, actor in actors:
            try:
                actor.join(JOIN_SECONDS)
            except AssertionError as error:
                ledger.hang(f"{name}: {error}")


class Stage:
    """What all actors share."""

    def __init__(self, models, truth, ledger, supervisor, switch, bin_dir):
        self.models = {model.name: model for model in models}
        self.truth, self.ledger, self.supervisor = truth, ledger, supervisor
        self.switch, self.bin_dir = switch, bin_dir
        self.long_pid = None

    def judge(self, outcome, begin, model, kind):
        """Counts how a stream ended, and complains of what no fault explains."""
        ledger = self.ledger
        ledger.count(f"{kind}: {outcome.code.name}{' ' + outcome.reason if outcome.reason else ''}")
        if outcome.ok:
            try:
                judge(self.truth, outcome)
            except WrongBytes as error:
                ledger.wrong_bytes(f"{kind}: {error}")
            return
        end = (outcome.code, outcome.reason)
        if end in MODELS[model] or end in BUSY or ledger.was_down(begin):
            return
        if outcome.code == CODE.DEADLINE_EXCEEDED and model == "failing":
            return  # A slow disk may take longer than the deadline.
        if outcome.code == CODE.DEADLINE_EXCEEDED:
            ledger.hang(f"{kind} of {model}: {outcome}")
        else:
            ledger.surprise(f"{kind} of {model}: {outcome}")


# ---- Readers ----

def reader(stage, chance):
    """Some streams over one connection, two at a time."""
    address = chance.choice([stage.supervisor.address, stage.supervisor.tcp])
    with open_channel(address) as channel:
        stub = rpc.TensorStoreStub(channel)

        def one(seed):
            mine = random.Random(seed)
            for _ in range(mine.randrange(1, 8)):
                model = mine.choice(list(MODELS))
                tensor, fields = mine.choice(VARIANTS)
                begin = time.monotonic()
                outcome = read(stub, model, tensor, **fields)
                stage.judge(outcome, begin, model, "read")
                if outcome.code == CODE.UNAVAILABLE:  # While the server restarts gRPC fails calls in milliseconds.
                    time.sleep(BACKOFF_SECONDS)

        beside = Background(one, chance.random())
        one(chance.random())
        beside.join()


def slow_reader(stage, chance):
    model = chance.choice(list(MODELS))
    tensor, fields = chance.choice(VARIANTS)
    pause = chance.uniform(0.01, 0.3)
    with open_channel(stage.supervisor.tcp) as channel:
        begin = time.monotonic()
        outcome = read(rpc.TensorStoreStub(channel), model, tensor, pace=lambda _: time.sleep(pause), **fields)
        stage.judge(outcome, begin, model, "slow read")


def stalled_reader(stage, chance):
    """Opens streams and never reads them."""
    with open_channel(stage.supervisor.tcp) as channel:
        stub = rpc.TensorStoreStub(channel)
        calls = [start(stub, chance.choice(list(MODELS)), columns=chance.choice([None, slice(0, 999, 2)]))
                 for _ in range(16)]
        time.sleep(chance.choice([1, STALLED_SECONDS]))
        for call in calls:
            call.cancel()
    stage.ledger.count("fault: 16 streams that were never read")


def canceller(stage, chance):
    with open_channel(stage.supervisor.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for _ in range(20):
            call = start(stub, chance.choice(list(MODELS)), columns=chance.choice([None, slice(0, 999, 2)]))
            left = chance.randrange(0, 5)
            with contextlib.suppress(grpc.RpcError):
                while left > 0 and next(call, None) is not None:
                    left -= 1
            call.cancel()
            stage.ledger.count("fault: cancelled stream")


def behind_a_proxy(stage, chance):
    """Connections that break, resumed."""
    model = chance.choice(list(MODELS))
    tensor, fields = chance.choice(VARIANTS)
    with ByteProxy(stage.supervisor.tcp, any_treatment(chance.random(), 12 << 20)) as proxy:
        channels = []

        def stub():
            for channel in channels:
                channel.close()
            channels[:] = [open_channel(proxy.address)]
            return rpc.TensorStoreStub(channels[0])

        begin = time.monotonic()
        outcome = read_resuming(stub, model, tensor, **fields)
        stage.judge(outcome, begin, model, "resumed read")
        channels[0].close()
        for _ in range(proxy.connections - 1):
            stage.ledger.count("fault: broken connection")


def dialler(stage, chance):
    """Connections that say nothing, or nothing that makes sense."""
    host, port = stage.supervisor.tcp.rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        for _ in range(20):  # Of 64 that one peer may have.
            with contextlib.suppress(OSError):
                dial = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
                dial.sendall(chance.choice([b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", chance.randbytes(100)]))
        time.sleep(chance.uniform(0, 2))
    stage.ledger.count("fault: 20 dials that lead to nothing")


def greedy_reader(stage, chance):
    """A small request for a byte of each of 2^30 rows, for a while; all of them are zeros."""
    with open_channel(stage.supervisor.address) as channel:
        call = rpc.TensorStoreStub(channel).GetSlice(pb.GetSliceRequest(model="greedy", tensor="t", slice="[:, 0]"), timeout=30)
        with contextlib.suppress(grpc.RpcError):
            for _ in range(chance.randrange(1, 20)):
                if any(any(part.data) for part in next(call).parts):
                    stage.ledger.wrong_bytes("of a file of zeros")
        call.cancel()
    time.sleep(chance.uniform(0, 2))
    stage.ledger.count("fault: request of 2^30 runs")


def sighup(stage, chance):
    time.sleep(chance.uniform(0, 2))
    if not stage.ledger.was_down(time.monotonic()):
        stage.supervisor.process.send_signal(signal.SIGHUP)
        stage.ledger.count("SIGHUP")


def killed_client(stage, chance):
    read_end, write_end = os.pipe()
    client = subprocess.Popen([stage.bin_dir / "tensorctl", "--server", stage.supervisor.address, "get",
                               chance.choice(list(MODELS)), "t", "-o", "-"], stdout=write_end, stderr=subprocess.DEVNULL)
    time.sleep(chance.uniform(0, KILLED_CLIENT_SECONDS))
    client.kill()
    client.wait()
    os.close(read_end)
    os.close(write_end)
    stage.ledger.count("fault: SIGKILL of a client")


def puller(stage, chance):
    """tensorctl's own retries and resume: a checkpoint that does not change must arrive, whatever happens to the server."""
    model = stage.models[chance.choice(["stable0", "stable1"])]
    target = model.path.parent.parent / f"pulled-{threading.get_ident()}"
    begin = time.monotonic()
    command = [stage.bin_dir / "tensorctl", "--server", stage.supervisor.address, "pull", model.name, target]
    try:
        result = subprocess.run(command, capture_output=True, timeout=PULL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        stage.ledger.hang("tensorctl pull")
        return
    if result.returncode == 0:
        pulled = [path for path in target.rglob("*.safetensors")]
        if len(pulled) != 1 or pulled[0].read_bytes() != model.path.read_bytes():
            stage.ledger.wrong_bytes(f"tensorctl pull of {model.name}: {pulled}")
        stage.ledger.count("pull: complete")
        for path in sorted(target.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        target.rmdir()
        return
    stage.ledger.count(f"pull: exit code {result.returncode}")  # What is there stays: the next pull resumes it.
    if not stage.ledger.was_down(begin):
        stage.ledger.surprise(f"tensorctl pull: {result.stderr.decode(errors='backslashreplace').strip()}")


# ---- Those who break things: one thread a model, because a model is changed by one ----

def breaker(name):
    def step(stage, chance):
        model = stage.models[name]
        time.sleep(chance.uniform(0.05, 2.0))
        if name.startswith("renamed"):
            model.replace()
            stage.ledger.count("fault: replaced by rename")
        elif name.startswith("cut"):
            model.truncate(chance.choice([0, chance.randrange(model.size_bytes), chance.randrange(model.size_bytes)]))
            stage.ledger.count("fault: truncated")
            time.sleep(chance.uniform(0, 1.0))
            model.replace()
        elif name == "overwritten":
            model.overwrite()
            stage.ledger.count("fault: overwritten in place")
        elif name == "deleted":
            model.path.unlink()
            stage.ledger.count("fault: deleted")
            time.sleep(chance.uniform(0, 1.0))
            model.replace()
        elif name == "failing":
            stage.switch.touch()
            stage.ledger.count("fault: disk failing for a while")
            time.sleep(chance.uniform(0, 1.0))
            stage.switch.unlink()
    return step


ACTORS = {"reader": (reader, 3), "slow reader": (slow_reader, 1), "stalled reader": (stalled_reader, 1),
          "canceller": (canceller, 1), "behind a proxy": (behind_a_proxy, 2), "killed client": (killed_client, 1),
          "dialler": (dialler, 1), "greedy reader": (greedy_reader, 1), "sighup": (sighup, 1),
          "puller": (puller, 1),
          **{f"breaker of {name}": (breaker(name), 1) for name in MODELS if not name.startswith("stable")}}


def start_all(seed, models, truth, ledger, gate, supervisor, switch, bin_dir):
    """Returns [(name, Background)]."""
    stage = Stage(models, truth, ledger, supervisor, switch, bin_dir)

    def act(name, step, number):
        chance = random.Random(f"{seed}/{name}/{number}")
        while gate.enter():
            begin = time.monotonic()
            try:
                step(stage, chance)
            except Exception as error:  # An actor that dies would leave the rest untested.
                if not ledger.was_down(begin):
                    ledger.surprise(f"{name}: {error!r}")
            finally:
                gate.leave()

    return [(name, Background(act, name, step, number)) for name, (step, count) in ACTORS.items() for number in range(count)]
