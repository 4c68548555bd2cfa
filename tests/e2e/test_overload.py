"""Clients that take more than their share: memory stays bounded, others are served, limits say when to come again (P11, P12,
P13, P18, P19, P20)."""
import json
import resource
import socket
import struct
import time

import grpc
import pytest

from fault_rounds import counts, rounds
from processes import anon_bytes, num_fds, wait_until
from reading import CALL_SECONDS, judge, open_channel, read, reason_of, start
from wire import pb, rpc
from words import Model, Truth

MIB = 1 << 20
READERS = 256
QUEUED = 10_000
MAX_STREAMS = 1024  # --max-streams' default.
CONNECTIONS = 16
BUFFER_MEMORY = 64 * MIB  # --buffer-memory's default: gathered, coalesced and pread chunks together.
# Of one that waits, beside the buffers: the stream, its request, gRPC's buffers of the connection's share.
READER_BYTES = 96 << 10


@pytest.fixture
def model(tmp_path):
    (tmp_path / "store").mkdir()
    return Model(tmp_path / "store", "m").replace()


def stalled(address, count, columns, **fields):
    """Opens streams that nobody reads; returns (channels, calls)."""
    channels = [open_channel(address) for _ in range(CONNECTIONS)]
    stubs = [rpc.TensorStoreStub(channel) for channel in channels]
    return channels, [start(stubs[i % CONNECTIONS], "m", columns=columns, **fields) for i in range(count)]


# kind -> columns, fields of the request, memory of the budget that it may take, flags of the server
STALLED = {"mapped": (None, {}, 0, ()), "checksum": (None, {"checksum": True}, BUFFER_MEMORY, ()),
           "gathered": (slice(1, 1000, 2), {}, BUFFER_MEMORY, ()), "small chunks": (None, {"chunk_bytes": 64 << 10}, 0, ()),
           "pread": (None, {}, BUFFER_MEMORY, ("--read-mode", "pread"))}


@pytest.mark.parametrize("kind", STALLED)
def test_stalled_readers_cost_little_and_leave_nothing(server, tmp_path, model, kind):
    columns, fields, buffers, flags = STALLED[kind]
    truth, running = Truth([model]), server(tmp_path / "store", *flags)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m", columns=columns, **fields))
        fds, before = num_fds(running.pid), anon_bytes(running.pid)
        channels, calls = stalled(running.address, READERS, columns, **fields)
        for number, _ in enumerate(rounds(f"reader beside {READERS} stalled ones, {kind}")):
            outcome = read(stub, "m", "small")
            assert outcome.ok, str(outcome)
            judge(truth, outcome)
            assert anon_bytes(running.pid) - before <= buffers + READERS * READER_BYTES + 16 * MIB, f"round {number}"
        for call in calls:
            call.cancel()
        for each in channels:
            each.close()
        counts[f"stalled reader, {kind}"] += READERS
        wait_until(lambda: num_fds(running.pid) <= fds, "their connections are closed")
        judge(truth, read(stub, "m", columns=columns, **fields))


def test_streams_beyond_the_limit_are_refused_with_a_hint(server, tmp_path, model):
    limit = 20
    truth, running = Truth([model]), server(tmp_path / "store", "--max-streams", limit)
    channels, calls = stalled(running.address, 10 * limit, None)
    refused = 0
    for call in calls:
        if call.done() or not next_or_none(call):
            assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and reason_of(call) == "TOO_MANY_STREAMS"
            assert any(key == "grpc-retry-pushback-ms" for key, _ in call.trailing_metadata())
            refused += 1
    assert refused == 9 * limit
    for call in calls:
        call.cancel()
    for each in channels:
        each.close()
    counts["stream beyond the limit"] += refused
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        wait_until(lambda: read(stub, "m", "small").ok, "places are free again")
        judge(truth, read(stub, "m"))


def next_or_none(call):
    try:
        return next(call, None)
    except grpc.RpcError:
        return None


def test_ten_thousand_queued_requests(server, tmp_path, model):
    """On one connection, all at once, beside streams that nobody reads: each is answered, memory stays."""
    truth, running = Truth([model]), server(tmp_path / "store")
    with open_channel(running.address) as channel, open_channel(running.address) as honest:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(rpc.TensorStoreStub(honest), "m"))
        before = anon_bytes(running.pid)
        held = [start(stub, "m") for _ in range(32)]
        request = pb.PeekTensorRequest(model="m", tensor="small", slice="[5, 3]")
        queued = [stub.PeekTensor.future(request, timeout=CALL_SECONDS) for _ in range(QUEUED)]
        outcome = read(rpc.TensorStoreStub(honest), "m", "small")
        assert outcome.ok, str(outcome)
        judge(truth, outcome)
        values = {tuple(call.result().uints) for call in queued}
        assert values == {(1 << 48 | 1 << 40 | 5 * 8 + 3,)}
        assert anon_bytes(running.pid) - before <= 32 * READER_BYTES + 32 * MIB
        for call in held:
            call.cancel()
        counts["queued request"] += QUEUED


def test_thousands_of_streams_at_once(server, tmp_path, model):
    """As many as their connections may open, none of them read: most are refused with a hint, and memory stays."""
    truth, running = Truth([model]), server(tmp_path / "store")
    channels = [open_channel(running.address) for _ in range(40)]
    before = anon_bytes(running.pid)
    calls = [start(rpc.TensorStoreStub(channel), "m") for channel in channels for _ in range(100)]
    wait_until(lambda: sum(call.done() for call in calls) >= len(calls) - MAX_STREAMS, "those beyond the limit are refused")
    refused = [call for call in calls if call.done()]
    assert {(call.code(), reason_of(call)) for call in refused} == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")}
    # Beside the streams: what gRPC holds of a connection.
    assert anon_bytes(running.pid) - before <= MAX_STREAMS * READER_BYTES + len(channels) * 64 * 1024 + 64 * MIB
    for call in calls:
        call.cancel()
    for channel in channels:
        channel.close()
    counts["stream beyond the limit"] += len(refused)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        wait_until(lambda: read(stub, "m", "small").ok, "places are free again")
        judge(truth, read(stub, "m"))


def test_a_reader_that_takes_nothing_is_ended(server, tmp_path, model):
    running = server(tmp_path / "store", "--stall-timeout", "1s")
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        calls = [start(stub, "m", columns=columns) for columns in [None, slice(1, 1000, 2)] * 10]
        time.sleep(5)  # Well beyond the time that is given to it. This client learns of an end only by reading.
        for call in calls:
            with pytest.raises(grpc.RpcError) as error:
                for _ in call:
                    pass
            assert (error.value.code(), reason_of(error.value)) == (grpc.StatusCode.ABORTED, "STALLED")
    counts["reader that takes nothing"] += len(calls)


def test_a_thousand_dials_leave_nothing(server, tmp_path, model):
    truth, running = Truth([model]), server(tmp_path / "store")
    host, port = running.address.rsplit(":", 1)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m"))
        fds = num_fds(running.pid)
        for random in rounds("50 dials that say little and stay a while"):
            dials = [socket.create_connection((host, int(port)), timeout=10) for _ in range(50)]
            for dial in dials:
                dial.sendall(random.choice([b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", random.randbytes(100)]))
            judge(truth, read(stub, "m", "small"))
            for dial in dials:
                dial.close()
        wait_until(lambda: num_fds(running.pid) <= fds, "the dials' descriptors are closed")


def test_it_recovers_from_having_no_descriptors(server, tmp_path, model):
    """ulimit -n 64 and 200 dials: running streams go on; once the dials are gone, new connections work (P11)."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    truth, running = Truth([model]), server(tmp_path / "store", preexec_fn=limit)
    host, port = running.address.rsplit(":", 1)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m"))
        for _ in rounds("200 dials with 64 descriptors"):
            dials = []

            def dial(_):
                dials.extend(socket.create_connection((host, int(port)), timeout=10) for _ in range(50))

            outcome = read(stub, "m", pace=lambda number: dial(number) if number <= 4 else None)
            assert outcome.ok, str(outcome)
            judge(truth, outcome)
            for each in dials:
                each.close()
            with open_channel(running.address) as fresh:
                grpc.channel_ready_future(fresh).result(timeout=CALL_SECONDS)
                judge(truth, read(rpc.TensorStoreStub(fresh), "m"))


def test_a_billion_runs_delay_no_honest_reader(server, tmp_path, model):
    """100 bytes of request, 2^30 runs of one byte: others read on beside it, and cancelling ends it."""
    text = json.dumps({"t": {"dtype": "U8", "shape": [1 << 30, 2], "data_offsets": [0, 1 << 31]}}).encode()
    with open(tmp_path / "store" / "bomb.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + (1 << 31))
    truth, running = Truth([model]), server(tmp_path / "store")
    before = anon_bytes(running.pid)
    with open_channel(running.address) as bad, open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        request = pb.GetSliceRequest(model="bomb", tensor="t", slice="[:, 0]")
        calls = [rpc.TensorStoreStub(bad).GetSlice(request, timeout=CALL_SECONDS) for _ in range(4)]
        for random in rounds("honest reader beside 10^9 runs"):
            for call in calls:
                assert not any(next(call).parts[0].data)
            judge(truth, read(stub, "m", random.choice(["t", "small"])))
        assert anon_bytes(running.pid) - before <= BUFFER_MEMORY + 32 * MIB
        for call in calls:
            call.cancel()
        judge(truth, read(stub, "m"))


def test_requests_at_the_size_limit(server, tmp_path, model):
    truth, running = Truth([model]), server(tmp_path / "store")
    limit = 4 * MIB
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        one = pb.GetTensorsRequest(model="m", selections=[pb.Selection(tensor="small")], plan_only=True)
        each = one.ByteSize() - pb.GetTensorsRequest(model="m", plan_only=True).ByteSize()
        for extra, code in ((-2, grpc.StatusCode.OK), (1, grpc.StatusCode.RESOURCE_EXHAUSTED)):
            request = pb.GetTensorsRequest(model="m", plan_only=True,
                                           selections=[pb.Selection(tensor="small")] * (limit // each + extra))
            try:
                headers = sum(len(chunk.parts) for chunk in stub.GetTensors(request, timeout=CALL_SECONDS))
                assert (code, headers) == (grpc.StatusCode.OK, len(request.selections))
            except grpc.RpcError as error:
                assert error.code() == code
            judge(truth, read(stub, "m", "small"))
        counts["request at the size limit"] += 2


def test_cancelled_streams_free_everything(server, tmp_path, model):
    truth, running = Truth([model]), server(tmp_path / "store")
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m"))
        before = anon_bytes(running.pid)
        for random in rounds("32 streams cancelled at random"):
            calls = [start(stub, "m", columns=random.choice([None, slice(1, 1000, 2)])) for _ in range(32)]
            for call in calls:
                for _ in range(random.randrange(3)):
                    next(call)
                call.cancel()
            judge(truth, read(stub, "m", "small"))
        wait_until(lambda: anon_bytes(running.pid) - before <= 16 * MIB, "cancelled streams hold no memory, nor their buffers")


def test_what_a_burst_took_is_given_back(server, tmp_path, model):
    """A thousand streams fill the buffers; once cancelled, nothing of that stays with the process, again and again."""
    truth, running = Truth([model]), server(tmp_path / "store")
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m"))
        before = anon_bytes(running.pid)
        for _ in range(2):
            channels, calls = stalled(running.address, 1000, slice(1, 1000, 2))
            wait_until(lambda: anon_bytes(running.pid) - before > BUFFER_MEMORY // 2, "the buffers fill")
            for call in calls:
                call.cancel()
            for each in channels:
                each.close()
            # What gRPC has made for connections and streams stays in the heap, for the next ones.
            wait_until(lambda: anon_bytes(running.pid) - before <= BUFFER_MEMORY // 2, "the buffers are given back")
            judge(truth, read(stub, "m", columns=slice(1, 1000, 2)))
        counts["stream of a burst that was cancelled"] += 2000
