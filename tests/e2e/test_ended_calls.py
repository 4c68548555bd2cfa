"""A call that its client ends, or whose deadline passes, costs nothing from then on: the server sends no more of it and holds no
stream (P19)."""
import json
import struct

import grpc
import pytest

from fault_rounds import ROUNDS, rounds
from reading import CALL_SECONDS, judge, open_channel, read
from served_work import HTTP, total, wait_for_rest
from wire import pb, rpc
from words import Model, Truth

STREAMS = 8  # In each round.
ROWS, COLUMNS = 1 << 20, 1 << 14  # 16 GiB, nearly all of them holes: no stream of them comes to its end by itself.
PREAD = ("--read-mode", "pread")
# kind -> slice (none: the whole tensor), fields of the request, flags of the server
KINDS = {"mapped": ("", {}, ()), "checksum": ("", {"checksum": True}, ()), "gathered": ("[:, 1:9000:3]", {}, ()),
         "single bytes": ("[:, ::4096]", {}, ()), "pread": ("", {}, PREAD), "pread gathered": ("[:, 1:9000:3]", {}, PREAD)}


@pytest.fixture
def store(tmp_path):
    """Two models: `vast`, that no stream ends by itself, and `m`."""
    (tmp_path / "store").mkdir()
    text = json.dumps({"t": {"dtype": "U8", "shape": [ROWS, COLUMNS], "data_offsets": [0, ROWS * COLUMNS]}}).encode()
    with open(tmp_path / "store" / "vast.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + ROWS * COLUMNS)
    return tmp_path / "store"


def begin(stub, text, timeout=CALL_SECONDS, **fields):
    if text:
        return stub.GetSlice(pb.GetSliceRequest(model="vast", tensor="t", slice=text, **fields), timeout=timeout)
    return stub.GetTensor(pb.GetTensorRequest(model="vast", tensor="t", **fields), timeout=timeout)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_call_is_worked_on_no_more(server, store, kind):
    """Some are read up to the cancel, others wait for a client that has not read for a while."""
    model = Model(store, "m").replace()
    text, fields, flags = KINDS[kind]
    truth, running = Truth([model]), server(store, *HTTP, *flags)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for random in rounds(f"{STREAMS} calls cancelled at random, {kind}", -(-ROUNDS // 4)):
            calls = [begin(stub, text, **fields) for _ in range(STREAMS)]
            for call in calls:
                for _ in range(random.randrange(4)):
                    next(call)
            assert all(call.is_active() for call in calls)
            random.shuffle(calls)
            for call in calls:
                call.cancel()
            wait_for_rest(running)
        assert total(running, "tensord_sent_bytes_total") > 0
        judge(truth, read(stub, "m"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_deadline_ends_the_work(server, store, kind):
    model = Model(store, "m").replace()
    text, fields, flags = KINDS[kind]
    truth, running = Truth([model]), server(store, *HTTP, *flags)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for random in rounds(f"{STREAMS} calls beyond their deadline, {kind}", -(-ROUNDS // 10)):
            calls = [begin(stub, text, random.uniform(0.1, 0.3), **fields) for _ in range(STREAMS)]
            for call in calls:
                with pytest.raises(grpc.RpcError) as error:
                    for _ in call:
                        pass
                assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            wait_for_rest(running)
        judge(truth, read(stub, "m"))
