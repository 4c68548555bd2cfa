"""A container's memory limit of 64 MiB over a store of 2 GiB: no OOM kill, all bytes right (P13)."""
import os
from pathlib import Path
from random import Random

import pytest

from fault_rounds import rounds
from reading import Background, judge, open_channel, read
from wire import rpc
from words import Model, Truth

LIMIT = 64 << 20
TENSORS = {f"t{i}": (4096, 2048) for i in range(8)}  # 64 MiB each.


class MemoryLimit:
    """A memory cgroup of our own, version 1 or 2. `join` is for subprocess's preexec_fn."""

    def __init__(self):
        for parent, limit, kills in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),
                                     (Path("/sys/fs/cgroup"), "memory.max", "memory.events")):
            if (parent / "cgroup.procs").exists():
                self.path, self._kills = parent / f"tensord-test-{os.getpid()}", kills
                self.path.mkdir()
                (self.path / limit).write_text(str(LIMIT))
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
    limit = MemoryLimit()
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
