"""A file system that fails or hangs below one file, read with pread (as `auto` picks on FUSE) and mapped: its streams say
READ_ERROR, no other notices, and it is served again once it is whole (P6, P7)."""
import os
import subprocess
import time
from pathlib import Path

import grpc
import pytest

from fault_rounds import ROUNDS, rounds
from processes import num_mappings, open_files, wait_until
from reading import Background, judge, open_channel, read, start
from wire import pb, rpc
from words import Model, Truth

ROOT = Path(__file__).resolve().parents[3]
HUNG_MS = 1500
MODES = {"auto": (), "mmap": ("--read-mode", "mmap")}


@pytest.fixture
def failing(tmp_path):
    """(directory of the files, mount point where they may fail)"""
    files, mounted = tmp_path / "files", tmp_path / "mounted"
    files.mkdir()
    mounted.mkdir()
    daemon = subprocess.Popen([ROOT / "build" / "e2e" / "failing_fs", files, mounted, "-f", "-o", "ro"])
    wait_until(mounted.is_mount, "the file system is mounted")
    yield files, mounted
    subprocess.run(["umount", "-l", mounted], check=True)
    daemon.wait(60)


def steer(files, kind, **numbers):
    """`.eio`, `.delay` or `.hold` with {model: number}; none: the fault is over."""
    aside = files / f".{kind}.new"
    aside.write_text("".join(f"{model}.safetensors {number}\n" for model, number in numbers.items()))
    aside.rename(files / f".{kind}")


@pytest.mark.parametrize("mode", MODES)
def test_read_errors_end_only_their_own_streams(failing, server, mode):
    files, mounted = failing
    good = Model(files, "good").replace()
    victims = [Model(files, f"m{i}").replace() for i in range(ROUNDS)]
    truth, running = Truth([good, *victims]), server(mounted, *MODES[mode])
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for random, victim in zip(rounds(f"EIO of the file system, {mode}"), victims):
            columns = random.choice([None, slice(1, 900, 2)])
            steer(files, "eio", **{victim.name: random.randrange(1 << 20, victim.size_bytes - (1 << 20))})
            beside = Background(read, stub, "good", columns=columns)
            outcome = read(stub, victim.name, columns=columns, checksum=random.random() < 0.3)
            assert (outcome.code, outcome.reason) == (grpc.StatusCode.DATA_LOSS, "READ_ERROR"), str(outcome)
            other = beside.join()
            assert other.ok, str(other)
            judge(truth, other)
            steer(files, "eio")
            wait_until(lambda: read(stub, victim.name).ok, "a file that is whole again is served again")
            judge(truth, read(stub, victim.name))
        assert (num_mappings(running.pid, "safetensors") == 0) == (mode == "auto"), "auto: FUSE is not mapped"
    assert running.process.poll() is None, running.log


@pytest.mark.parametrize("mode", MODES)
def test_a_hung_file_delays_no_other(failing, server, mode):
    """Twice as many streams on the hung file as there are I/O threads, while every other file flows."""
    files, mounted = failing
    models = [Model(files, name).replace() for name in ("hung", "good", "other")]
    truth, running = Truth(models), server(mounted, *MODES[mode])
    with open_channel(running.address) as hung_channel, open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for model in ("good", "other"):
            judge(truth, read(stub, model))  # From now on they are in the page cache.
        steer(files, "delay", hung=HUNG_MS)
        streams = 2 * max(4, 2 * len(os.sched_getaffinity(0)))
        calls = [rpc.TensorStoreStub(hung_channel).GetTensor(pb.GetTensorRequest(model="hung", tensor="t"), timeout=60)
                 for _ in range(streams)]
        time.sleep(0.3)
        for random in rounds(f"a hung file system below one file, {mode}"):
            outcome = read(stub, random.choice(["good", "other"]), random.choice(["t", "small"]))
            assert outcome.ok, str(outcome)
            judge(truth, outcome)
        assert not any(call.done() for call in calls), "the hung file never hung"
        for call in calls:
            call.cancel()
        steer(files, "delay")
        outcome = read(stub, "hung")
        assert outcome.ok, str(outcome)
        judge(truth, outcome)


@pytest.mark.parametrize("mode", MODES)
def test_closing_a_hung_file_delays_no_other(failing, server, tmp_path, mode):
    """Streams are the last to drop files that nobody can close in time, more than gRPC has threads: they end all the same, and
    leave their places to others."""
    files, mounted = failing
    (tmp_path / "local").mkdir()
    good = Model(tmp_path / "local", "good").replace()
    good.name = "local/good"
    victims = [Model(files, f"m{i}").replace() for i in range(8)]
    others = [Model(files, f"n{i}").replace() for i in range(8)]
    truth = Truth([good])
    running = server(f"slow={mounted}", "--store", f"local={tmp_path / 'local'}", "--max-open-files", 4,
                     "--max-streams", 2 * len(victims), *MODES[mode])
    with open_channel(running.address) as victims_channel, open_channel(running.address) as channel:
        slow, stub = rpc.TensorStoreStub(victims_channel), rpc.TensorStoreStub(channel)
        judge(truth, read(stub, good.name))
        calls = [start(slow, f"slow/{victim.name}") for victim in victims]
        for call in calls:
            next(call)
        for other in others:  # Used later than the victims, which the catalog lets go therefore.
            assert read(stub, f"slow/{other.name}", "small").ok
        steer(files, "hold", **{victim.name: 1 for victim in victims})
        for call in calls:
            call.cancel()
        for random in rounds(f"files that cannot be closed, {mode}"):
            for _ in calls:
                outcome = read(stub, good.name, random.choice(["t", "small"]))
                assert outcome.ok, str(outcome)
                judge(truth, outcome)
        steer(files, "hold")
        wait_until(lambda: not any(victim.path.name in name for victim in victims for name in open_files(running.pid)),
                   "the files are closed")
