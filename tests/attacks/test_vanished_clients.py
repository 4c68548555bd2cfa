"""Clients that begin streams and then are heard of no more, their connection still open: the deadline that they named ends the
work, without a word of theirs (P19)."""
import time

import pytest
from processes import num_fds, wait_until
from reading import judge, open_channel, read
from served_work import HTTP, total, wait_for_rest
from wire import pb, rpc
from words import Model, Truth

import h2

STREAMS = 20
DEADLINE_SECONDS = 0.7
DEADLINE = (b"grpc-timeout", b"%dm" % (1000 * DEADLINE_SECONDS))
KINDS = {"mapped": ("GetTensor", pb.GetTensorRequest(model="m", tensor="t")),
         "gathered": ("GetSlice", pb.GetSliceRequest(model="m", tensor="t", slice="[:, 3:1000:2]"))}
# Neither the stall timeout nor keepalive ends anything within the test's time.
FLAGS = (*HTTP, "--stall-timeout", "1h")


def begin_streams(running, peer, method, request):
    headers = h2.call_headers(f"/tensord.v1.TensorStore/{method}".encode(), [DEADLINE])
    for stream in range(1, 2 * STREAMS, 2):
        peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, headers) +
                  h2.frame(h2.DATA, h2.END_STREAM, stream, h2.message(request.SerializeToString())))
    wait_until(lambda: total(running, f'tensord_rpcs_started_total{{method="{method}"}}') >= STREAMS, "all have begun")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "store").mkdir()
    return Model(tmp_path / "store", "m", {"t": (8192, 1024), "small": (64, 8)}).replace()


@pytest.mark.parametrize("kind", KINDS)
def test_the_deadline_ends_streams_whose_windows_are_closed(server, tmp_path, model, kind):
    truth, running = Truth([model]), server(tmp_path / "store", *FLAGS)
    with h2.Peer(running.address, initial_window_size=1000) as peer, open_channel(running.address) as channel:
        fds = num_fds(running.pid)
        begin_streams(running, peer, *KINDS[kind])
        wait_for_rest(running)
        assert num_fds(running.pid) >= fds, "the connection was closed, which proves nothing of the deadline"
        judge(truth, read(rpc.TensorStoreStub(channel), "m", "small"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_beyond_the_deadline_to_a_client_that_reads_again(server, tmp_path, model, kind):
    """Its socket is full, behind which gRPC holds the streams until it is read again, or keepalive gives the client up."""
    truth, running = Truth([model]), server(tmp_path / "store", *FLAGS)
    with h2.Peer(running.address, receive_buffer=4096, initial_window_size=0x7FFFFFFF) as peer, \
            open_channel(running.address) as channel:
        peer.send(h2.window_update(0, 0x7FFF0000))
        begin_streams(running, peer, *KINDS[kind])
        time.sleep(2 * DEADLINE_SECONDS)
        judge(truth, read(rpc.TensorStoreStub(channel), "m", "small"))
        sent = total(running, "tensord_sent_bytes_total")

        def has_ended():
            peer.drain()
            return total(running, "tensord_streams_active") == 0

        wait_until(has_ended, "no stream runs")
        assert total(running, "tensord_sent_bytes_total") == sent, "work went on"
