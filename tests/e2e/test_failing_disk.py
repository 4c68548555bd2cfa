"""A disk that fails or hangs under one file, which is read with pread: its streams say so, and no other waits (P6, P7)."""
import os

import grpc
import pytest

from fault_rounds import rounds
from injection import environment
from processes import wait_until
from reading import Background, judge, open_channel, read
from wire import pb, rpc
from words import Model, Truth

READ_ERRORS = ("READ_ERROR", "FILE_CHANGED")
COLUMNS = slice(1, 600, 3)


@pytest.fixture
def models(tmp_path):
    (tmp_path / "store").mkdir()
    return [Model(tmp_path / "store", name).replace() for name in ("bad", "good", "other")]


@pytest.mark.parametrize("columns", [None, COLUMNS], ids=["whole", "gathered"])
def test_read_errors_end_only_their_own_streams(server, models, tmp_path, columns):
    truth, switch = Truth(models), tmp_path / "switch"
    running = server(tmp_path / "store", "--read-mode", "pread",
                     env=environment("pread", "/bad.safetensors", switch=switch))
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for random in rounds(f"EIO in pread, {'gathered' if columns else 'whole'}"):
            at = random.randrange(1, 4)
            beside = Background(read, stub, "good", columns=columns)
            outcome = read(stub, "bad", columns=columns, pace=lambda number: number == at and switch.touch())
            switch.unlink(missing_ok=True)
            if outcome.ok:
                judge(truth, outcome)  # All had been read before the disk failed.
            else:
                assert outcome.code == grpc.StatusCode.DATA_LOSS and outcome.reason in READ_ERRORS, str(outcome)
            judge(truth, beside.join())
            wait_until(lambda: read(stub, "bad", columns=columns).ok, "a file that is whole again is served again")
    assert running.process.poll() is None


def test_a_hung_file_delays_no_other(server, models, tmp_path):
    """Twice as many streams on the hung file as there are I/O threads; every other file flows while they hang."""
    truth, switch = Truth(models), tmp_path / "switch"
    running = server(tmp_path / "store", "--read-mode", "pread",
                     env=environment("pread", "/bad.safetensors", error=0, milliseconds=1500, switch=switch))
    with open_channel(running.address) as hung_channel, open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        switch.touch()
        streams = 2 * max(4, 2 * len(os.sched_getaffinity(0)))
        calls = [rpc.TensorStoreStub(hung_channel).GetTensor(pb.GetTensorRequest(model="bad", tensor="t"), timeout=60)
                 for _ in range(streams)]
        for random in rounds("a hung file beside others"):
            outcome = read(stub, random.choice(["good", "other"]), random.choice(["t", "small"]))
            assert outcome.ok, str(outcome)
            judge(truth, outcome)
        assert not any(call.done() for call in calls), "the hung file never hung"
        for call in calls:
            call.cancel()
        switch.unlink()
        outcome = read(stub, "bad")
        assert outcome.ok, str(outcome)
        judge(truth, outcome)
