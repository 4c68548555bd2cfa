"""A container's memory limit: 64 MiB over a store of 2 GiB, and 256 MiB under clients that take all they can. No OOM kill, all
bytes right (P13)."""
import itertools
import json
import os
import socket
import struct
from pathlib import Path
from random import Random

import pytest

from fault_rounds import rounds
from processes import wait_until
from reading import CALL_SECONDS, Background, judge, open_channel, read, start
from wire import pb, rpc
from words import Model, Truth

LIMIT = 64 << 20
ATTACKED_LIMIT = 256 << 20
TENSORS = {f"t{i}": (4096, 2048) for i in range(8)}  # 64 MiB each.


class MemoryLimit:
    """A memory cgroup of our own, version 1 or 2. `join` is for subprocess's preexec_fn."""

    _numbers = itertools.count()

    def __init__(self, limit_bytes):
        for parent, limit, kills in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),
                                     (Path("/sys/fs/cgroup"), "memory.max", "memory.events")):
            if (parent / "cgroup.procs").exists():
                self.path, self._kills = parent / f"tensord-test-{os.getpid()}-{next(self._numbers)}", kills
                self.path.mkdir()
                (self.path / limit).write_text(str(limit_bytes))
                return
        pytest.fail("no memory cgroup is writable here")

    def join(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def num_kills(self):
        lines = (self.path / self._kills).read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("oom_kill ")))


@pytest.mark.parametrize("mode", ["mmap", "pread"])
def test_a_small_container_serves_a_large_store(server, tmp_path, mode):
    models = [Model(tmp_path, f"m{i}", TENSORS).replace() for i in range(4)]
    for model in models:
        with open(model.path, "rb") as file:  # So that the server's cgroup pays for what it reads.
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    limit = MemoryLimit(LIMIT)
    truth, running = Truth(models), server(tmp_path, "--read-mode", mode, preexec_fn=limit.join)

    def reader(chance):
        with open_channel(running.address) as channel:
            stub = rpc.TensorStoreStub(channel)
            for model in chance.sample(models, len(models)):
                for tensor in chance.sample(list(TENSORS), len(TENSORS)):
                    outcome = read(stub, model.name, tensor, columns=chance.choice([None, None, slice(0, 1999, 2)]))
                    assert outcome.ok, str(outcome)
                    judge(truth, outcome)

    for chance in rounds(f"2 GiB out of 64 MiB by two readers, {mode}", 2):
        beside = Background(reader, Random(chance.random()))
        reader(chance)
        beside.join(300)
    assert truth.bytes > 2 << 30
    assert limit.num_kills() == 0
    assert running.stop() == 0, running.log
    limit.path.rmdir()


def bomb(path):
    """2^30 rows of which a slice of 100 bytes asks for one byte each."""
    text = json.dumps({"t": {"dtype": "U8", "shape": [1 << 30, 2], "data_offsets": [0, 1 << 31]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + (1 << 31))


class Attack:
    """Everything at once: readers that never read, of each kind, more streams than there may be, dials, bombs, large requests."""

    def __init__(self, address):
        self._channels = [open_channel(address) for _ in range(40)]
        stubs = [rpc.TensorStoreStub(channel) for channel in self._channels]
        kinds = [{}, {"checksum": True}, {"columns": slice(1, 1000, 2)}, {"chunk_bytes": 4 << 20}]
        self._calls = [start(stubs[i % 40], "m", **kinds[i // 40 % 4]) for i in range(1200)]
        self._calls += [stub.GetSlice(pb.GetSliceRequest(model="bomb", tensor="t", slice="[:, 0]"), timeout=CALL_SECONDS)
                        for stub in stubs[:4]]
        large = pb.GetTensorsRequest(model="m", selections=[pb.Selection(tensor="small")] * 300_000, plan_only=True)
        self._calls += [stub.GetTensors(large, timeout=CALL_SECONDS) for stub in stubs[:16]]
        host, port = address.rsplit(":", 1)
        for _ in range(300):
            socket.create_connection((host, int(port)), timeout=10).close()
        self._dials = [socket.create_connection((host, int(port)), timeout=10) for _ in range(15)]

    def end(self):
        for call in self._calls:
            call.cancel()
        for each in [*self._channels, *self._dials]:
            each.close()


@pytest.mark.parametrize("mode", ["mmap", "pread"])
def test_attackers_bring_no_container_down(server, tmp_path, mode):
    model = Model(tmp_path, "m").replace()
    bomb(tmp_path / "bomb.safetensors")
    limit = MemoryLimit(ATTACKED_LIMIT)
    # The attackers come from an address, which the guard shuts out when it cancels too much; the honest reader is another peer.
    honest = f"unix:{tmp_path}/socket"
    truth, running = Truth([model]), server(tmp_path, "--listen", "127.0.0.1:0", "--listen", honest, "--read-mode", mode,
                                            preexec_fn=limit.join)
    for _ in rounds(f"an attack in 256 MiB, {mode}", 3):
        attack = Attack(running.address)
        with open_channel(honest) as channel:
            stub = rpc.TensorStoreStub(channel)
            for _ in range(20):  # Refused where the attackers have every stream; never wrong.
                outcome = read(stub, "m", "small")
                if outcome.ok:
                    judge(truth, outcome)
                else:
                    assert outcome.reason in ("TOO_MANY_STREAMS", "OUT_OF_BUFFERS"), str(outcome)
            attack.end()
            wait_until(lambda: read(stub, "m").ok, "the server serves when they are gone")
            judge(truth, read(stub, "m"))
    assert limit.num_kills() == 0
    assert running.stop() == 0, running.log
    limit.path.rmdir()
