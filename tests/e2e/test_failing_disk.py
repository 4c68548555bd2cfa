"""A disk that fails or hangs under one file, which is read with pread: its streams say so, and no other waits (P6, P7)."""
import os

import grpc
import pytest

from fault_rounds import rounds
from injection import environment
from processes import wait_until
from reading import Background, judge, open_channel, read
from stores import write_raw
from wire import pb, rpc
from words import Model, Truth

READ_ERRORS = ("READ_ERROR", "FILE_CHANGED")
COLUMNS = slice(1, 600, 3)
HUNG_SECONDS = 60  # Far above the grace, and the time that ending takes.


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


def adapters(directory, count):
    """Models of one tensor, whose headers have 20 KiB each."""
    for i in range(count):
        write_raw(directory / f"a{i:03}.safetensors", {"t": ("U8", (5,), b"%05d" % i)}, {"padding": "x" * 20_000})
        os.utime(directory / f"a{i:03}.safetensors", ns=(0, 1_600_000_000_000_000_000))


def calls_on(stub, model):
    """One of each kind, which cannot be answered without the model's header."""
    return [stub.ListTensors.future(pb.ListTensorsRequest(model=model), timeout=60),
            stub.GetMetadata.future(pb.GetMetadataRequest(model=model), timeout=60),
            stub.PeekTensor.future(pb.PeekTensorRequest(model=model, tensor="t"), timeout=60),
            stub.ListModels.future(pb.ListModelsRequest(filter=model), timeout=60),
            stub.GetTensor(pb.GetTensorRequest(model=model, tensor="t"), timeout=60),
            stub.GetSlice(pb.GetSliceRequest(model=model, tensor="t", slice="[1:2]"), timeout=60),
            stub.GetTensors(pb.GetTensorsRequest(model=model, selections=[pb.Selection(tensor="t")]), timeout=60),
            stub.ReadFile(pb.ReadFileRequest(model=model, file=f"{model}.safetensors"), timeout=60)]


def test_headers_on_a_hung_file_delay_no_other(server, models, tmp_path):
    """Of a model that is not in memory; and in the end the server stops within its grace though the calls still hang."""
    truth, switch = Truth(models), tmp_path / "switch"
    adapters(tmp_path / "store", 100)
    running = server(tmp_path / "store", "--index-memory", "1MiB", "--shutdown-grace", "1s", "--rescan-interval", "0",
                     env=environment("open", "a000.safetensors", error=0, milliseconds=HUNG_SECONDS * 1000, switch=switch))
    with open_channel(running.address) as hung_channel, open_channel(running.address) as channel:
        stub, hung = rpc.TensorStoreStub(channel), rpc.TensorStoreStub(hung_channel)
        for i in range(1, 100):  # Pushes the header that is to hang out of memory, and those of the models below.
            stub.ListTensors(pb.ListTensorsRequest(model=f"a{i:03}"), timeout=60)
        switch.touch()
        calls = calls_on(hung, "a000")
        for random in rounds("a hung header beside others"):
            outcome = read(stub, random.choice(["good", "other"]), random.choice(["t", "small"]))
            assert outcome.ok, str(outcome)
            judge(truth, outcome)
            other = f"a{random.randrange(1, 100):03}"
            assert stub.PeekTensor(pb.PeekTensorRequest(model=other, tensor="t"), timeout=60).uints
            assert stub.ListTensors(pb.ListTensorsRequest(model=other), timeout=60).tensors
        assert not any(call.done() for call in calls), "the header never hung"
        running.process.terminate()
        assert running.process.wait(HUNG_SECONDS / 2) == 0
        assert all(isinstance(call.exception(), grpc.RpcError) for call in calls)
