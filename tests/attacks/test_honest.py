"""Whom the guard must leave alone."""
import struct
import time

import pytest

import h2
import vectors
from big_store import make_store

SECONDS = 10
WINDOW_BYTES = 4096  # Each frame of it takes two window updates of 13 bytes: more than the plain rate allows at this speed.


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_fast_reader_with_small_windows_is_never_cut(server, tmp_path, kind):
    listen = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/s.sock"
    running = server(make_store(tmp_path / "store"), "--listen", listen)
    end, received, stream = time.monotonic() + SECONDS, 0, 1
    with h2.Peer(running.address, initial_window_size=WINDOW_BYTES) as peer:
        peer.send(vectors.big_call(stream))
        while time.monotonic() < end:
            kind, flags, of, payload = peer.receive()
            if kind == h2.DATA and payload:
                received += len(payload)
                peer.send(h2.window_update(0, len(payload)) + h2.window_update(of, len(payload)))
            elif kind == h2.PING and not flags & h2.ACK:
                peer.send(h2.frame(h2.PING, h2.ACK, 0, payload))
            elif kind == h2.HEADERS and flags & h2.END_STREAM:
                stream += 2
                peer.send(vectors.big_call(stream))
            assert kind not in (h2.GOAWAY, h2.RST_STREAM), (kind, payload)
        assert received > 0


def test_a_client_that_cancels_now_and_then_is_never_cut(server, tmp_path):
    running = server(make_store(tmp_path / "store"))
    with h2.Peer(running.address) as peer:
        for stream in range(1, 2 * 600, 2):
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.call_headers(vectors.BIG)) + h2.rst(stream))
        peer.send(h2.frame(h2.PING, 0, 0, struct.pack(">Q", 7)))
        while True:
            kind, flags, _, payload = peer.receive()
            assert kind != h2.GOAWAY
            if kind == h2.PING and flags & h2.ACK and payload == struct.pack(">Q", 7):
                break
