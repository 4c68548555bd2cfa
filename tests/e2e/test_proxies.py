"""Behind nginx's grpc_pass and behind haproxy, over plaintext HTTP/2: a hundred streams at once carry right bytes, and what calls
end with comes through (P29)."""
import contextlib
import threading

import grpc
import pytest

from fault_rounds import counts
from proxies import KINDS, ReverseProxy
from reading import CALL_SECONDS, Background, judge, read, reason_of
from wire import pb, rpc
from words import Model, Truth

STREAMS = 100
AT_ONCE = 4  # That are read on at a time, so that the test's memory is bounded; the others stall meanwhile.
VARIANTS = [{}, {"columns": slice(3, 700, 2)}, {"checksum": True}, {"chunk_bytes": 64 << 10}]
# nginx opens a connection for each call, all from one address, which may have a quarter of the places.
FLAGS = ("--max-connections", 512, "--stall-timeout", "5m")


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def behind(server, store, tmp_path):
    """behind(kind): starts a server of the store, and returns the address of a proxy before it."""
    proxies = []

    def start(kind):
        running = server(store, *FLAGS)
        proxies.append(ReverseProxy(kind, tmp_path / kind, running.address))
        return proxies[-1].address

    yield start
    for proxy in proxies:
        proxy.close()


def ordinary_channel(address):
    """With the windows that gRPC finds best. Under windows of 64 KiB one stream that its client leaves unread holds up all others of
    its connection, in haproxy 2.6; without a proxy between it does not."""
    return grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


def read_together(stub, truth):
    """Reads `STREAMS` streams, none of which goes on before each has begun."""
    begun, turns = threading.Barrier(STREAMS), threading.BoundedSemaphore(AT_ONCE)

    def wait_for_all(number):
        if number == 1:
            with contextlib.suppress(threading.BrokenBarrierError):
                begun.wait(CALL_SECONDS)
            turns.acquire()

    def one(number):
        outcome = read(stub, "m", pace=wait_for_all, **VARIANTS[number % len(VARIANTS)])
        if outcome.info is None:
            begun.abort()
            return str(outcome)
        try:
            if outcome.ok:
                judge(truth, outcome)
        finally:
            turns.release()
        return "" if outcome.ok else str(outcome)

    readers = [Background(one, number) for number in range(STREAMS)]
    failed = [text for text in (reader.join() for reader in readers) if text]
    assert not failed and not begun.broken, failed


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_streams_at_once_carry_right_bytes(behind, store, kind):
    model = Model(store, "m", {"t": (512, 1024), "small": (64, 8)}).replace()
    truth, address = Truth([model]), behind(kind)
    with ordinary_channel(address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m", "small"))
        read_together(stub, truth)
        counts[f"a stream among {STREAMS} behind {kind}"] += STREAMS


@pytest.mark.parametrize("kind", KINDS)
def test_what_calls_end_with_comes_through(behind, store, ctl, tmp_path, kind):
    """Reasons of errors, before and after the first byte; all other kinds of calls; and files by our own client."""
    model, broken = Model(store, "m").replace(), Model(store, "broken").replace()
    truth, address = Truth([model, broken]), behind(kind)
    with ordinary_channel(address) as channel:
        stub = rpc.TensorStoreStub(channel)
        missing = read(stub, "m", "missing")
        assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "TENSOR_NOT_FOUND"), str(missing)
        cut = read(stub, "broken", pace=lambda number: number == 1 and broken.truncate(0))
        assert (cut.code, cut.reason) == (grpc.StatusCode.DATA_LOSS, "FILE_CHANGED"), str(cut)
        judge(truth, read(stub, "m"))
        assert {each.id for each in stub.ListModels(pb.ListModelsRequest(), timeout=CALL_SECONDS).models} == {"m", "broken"}
        with pytest.raises(grpc.RpcError) as error:
            stub.GetMetadata(pb.GetMetadataRequest(model="nothing"), timeout=CALL_SECONDS)
        assert reason_of(error.value) == "MODEL_NOT_FOUND"
    ctl(address).text("pull", "m", tmp_path / "out")
    assert (tmp_path / "out" / "m.safetensors").read_bytes() == model.path.read_bytes()
    counts[f"an error that is told through {kind}"] += 3
