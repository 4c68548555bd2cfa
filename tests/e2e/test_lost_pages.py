"""Pages that are lost while our own code touches them: the fault is survived, counted, and ends its own stream alone (P1, P2)."""
import json
import os
import struct
import time

import grpc

import http_port
from fault_rounds import ROUNDS, rounds
from processes import SETTLE_SECONDS, wait_until
from reading import CALL_SECONDS, Background, judge, open_channel, read, reason_of
from served_work import HTTP, metrics
from wire import pb, rpc
from words import Model, Truth

# 16 GiB of holes. A slice of one byte a page has the server touch thousands of pages for each message.
ROWS, COLUMNS = 1 << 20, 1 << 14
SLICE = "[:, ::4096]"
FEW = -(-ROUNDS // 20)
ALLOWED = {"FILE_CHANGED", "FILE_INVALID", "TENSOR_NOT_FOUND"}


def write_vast(path):
    text = json.dumps({"t": {"dtype": "U8", "shape": [ROWS, COLUMNS], "data_offsets": [0, ROWS * COLUMNS]}}).encode()
    aside = path.with_suffix(".writing")
    with open(aside, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + ROWS * COLUMNS)
    aside.rename(path)


def read_until_it_breaks(stub, text=SLICE):
    """The reason, "" where it ended with OK."""
    request = pb.GetSliceRequest(model="vast", tensor="t", slice=text)
    try:
        for chunk in stub.GetSlice(request, timeout=CALL_SECONDS):
            assert not any(any(part.data) for part in chunk.parts)
    except grpc.RpcError as error:
        return reason_of(error)
    return ""


def test_lost_pages_under_our_own_code_are_survived_and_counted(server, tmp_path):
    """At random moments, until some were in the middle of a touch."""
    (tmp_path / "store").mkdir()
    good, vast = Model(tmp_path / "store", "good").replace(), tmp_path / "store" / "vast.safetensors"
    write_vast(vast)
    truth, running, end = Truth([good]), server(tmp_path / "store", *HTTP), time.monotonic() + FEW * SETTLE_SECONDS
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for random in rounds("truncated under our own code", 1 << 20):
            beside = Background(read, stub, "good")
            breaking = [Background(read_until_it_breaks, stub) for _ in range(4)]
            time.sleep(random.uniform(0, 0.03))
            os.truncate(vast, 0)
            assert {each.join() for each in breaking} <= ALLOWED
            judge(truth, beside.join())
            write_vast(vast)
            wait_until(lambda: not read_until_it_breaks(stub, "[0, 0:5]"), "the new file is served")
            lost = http_port.value(metrics(running), "tensord_sigbus_total")
            if lost >= FEW:
                break
            assert time.monotonic() < end, f"only {lost} pages were lost under our own code"
        judge(truth, read(stub, "good"))
    assert running.process.poll() is None
