"""Calls to the kernel that fail or fall short, and files that are none: only what they concern fails, with a reason, and the
process lives (P6, P16). Errors under mapped memory need a failing file system: tests/e2e/full.sh has them."""
import errno
import itertools
import os
import socket

import grpc
import pytest

from fault_rounds import counts
from injection import environment
from processes import wait_until
from reading import judge, open_channel, read
from wire import pb, rpc
from words import Model, Truth

CLEAN_EXITS = (1, 2, 3, 4)  # What the daemon's help documents.
MOST_CALLS = 400  # Of one kind, for a store of three files: a loop that does not end is a retry without limit.
COLUMNS = slice(1, 600, 3)


@pytest.fixture
def models(tmp_path):
    (tmp_path / "store").mkdir()
    return [Model(tmp_path / "store", name, {"t": (256, 1024), "small": (64, 8)}).replace() for name in ("bad", "good", "other")]


def read_all(address, models, truth):
    """Everything of every model, each with right bytes or a reason; how many were right."""
    right = 0
    with open_channel(address) as channel:
        stub = rpc.TensorStoreStub(channel)
        stub.ListModels(pb.ListModelsRequest(), timeout=30, wait_for_ready=True)
        for model, (tensor, columns) in itertools.product(models, (("t", None), ("t", COLUMNS), ("small", None))):
            outcome = read(stub, model.name, tensor, columns)
            if outcome.ok:
                judge(truth, outcome)
                right += 1
            elif outcome.code != grpc.StatusCode.UNAVAILABLE:  # Which is a connection that was refused.
                assert outcome.reason, str(outcome)
    return right


# Which call fails in which mode, with what it may well fail in life. open: openat2 too.
PREAD = ("--read-mode", "pread")
NTH = [("open", errno.EMFILE, ()), ("fstat", errno.ESTALE, ()), ("mmap", errno.ENOMEM, ()), ("mmap", errno.ENODEV, ()),
       ("pread", errno.EIO, ()), ("pread", 0, ()), ("pread", errno.EIO, PREAD), ("pread", 0, PREAD),
       ("accept4", errno.EMFILE, ()), ("accept4", errno.ECONNABORTED, ())]


@pytest.mark.parametrize("call,error,flags", NTH,
                         ids=[f"{c}-{errno.errorcode.get(e, 'short')}{'-pread-mode' if f else ''}" for c, e, f in NTH])
def test_the_nth_call_fails(server, models, tmp_path, call, error, flags):
    truth, fired = Truth(models), tmp_path / "fired"
    name = "" if call == "accept4" else str(tmp_path / "store")
    nth = 0
    while nth < MOST_CALLS:
        nth += 1 + nth // 8  # Every one of the first eight, then the fewer the more there are.
        fired.unlink(missing_ok=True)
        running = server(tmp_path / "store", "--rescan-interval", "100ms", *flags, may_exit=CLEAN_EXITS,
                         env=environment(call, name, nth, error, fired=fired))
        if running.address is None:
            assert fired.exists(), running.log
            continue
        right = read_all(running.address, models, truth)
        # It failed once, so all is well soon, whatever it hit.
        wait_until(lambda: read_all(running.address, models, truth) == 3 * len(models), "everything is served")
        assert running.stop() == 0, running.log
        if not fired.exists():
            assert right == 3 * len(models)
            return
        counts[f"{call} fails once with {errno.errorcode.get(error, 'a short read')}"] += 1
    pytest.fail("the calls have no end")


def test_files_that_are_none_do_not_block_or_end_it(server, tmp_path):
    """P16: whatever else bears the name of a model."""
    good = Model(tmp_path, "good").replace()
    os.mkfifo(tmp_path / "fifo.safetensors")
    (tmp_path / "directory.safetensors").mkdir()
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "loop.safetensors").symlink_to("loop.safetensors")
    (tmp_path / "device.safetensors").symlink_to("/dev/zero")
    (tmp_path / "outside.safetensors").symlink_to("/etc/passwd")
    socket.socket(socket.AF_UNIX).bind(str(tmp_path / "socket.safetensors"))
    (tmp_path / "lies.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    with open(tmp_path / "huge.safetensors", "wb") as file:
        file.truncate(8 << 40)
    with open(tmp_path / "long_header.safetensors", "wb") as file:
        file.write((100_000_000).to_bytes(8, "little") + b"{")
        file.truncate(8 + 100_000_000)
    running = server(tmp_path)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(Truth([good]), read(stub, "good"))
        states = {model.id: model.state for model in stub.ListModels(pb.ListModelsRequest()).models}
    assert states.pop("good") == pb.MODEL_STATE_READY
    assert {"empty", "lies", "huge", "long_header"} <= set(states)
    assert set(states.values()) == {pb.MODEL_STATE_INVALID}
    counts["a file that is no model"] += 10
