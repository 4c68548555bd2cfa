"""How far a stream runs ahead of a client that does not say what it has read."""
import socket
import struct

import pytest

import h2
import vectors
from big_store import make_store
from certificates import Authority

MOST_BYTES = (8 << 20) - 1
SIGN = 29_796  # By this a client says that it tells what it has read whenever it waits: src/window_sign.h.
UNLIMITED = 0x7FFFFFFF


def receive(peer, wanted, seconds):
    """Takes frames until the DATA in them is as much as that, or nothing comes for a while. Returns how much it was."""
    received = 0
    peer.sock.settimeout(seconds)
    try:
        while received < wanted:
            kind, flags, _, payload = peer.receive()
            received += len(payload) if kind == h2.DATA else 0
            assert kind not in (h2.GOAWAY, h2.RST_STREAM), (kind, payload)
            if kind == h2.PING and not flags & h2.ACK:
                peer.send(h2.frame(h2.PING, h2.ACK, 0, payload))
    except TimeoutError:
        pass
    return received


def expect_no_more_than(peer, wanted):
    assert receive(peer, wanted, seconds=30) == wanted
    assert receive(peer, 1, seconds=1) == 0


@pytest.mark.parametrize("way", ["tcp", "unix", "tls"])
def test_a_stream_runs_8_mib_ahead_where_the_client_wants_no_more(server, tmp_path, way):
    flags = ["--listen", f"unix:{tmp_path}/s" if way == "unix" else "127.0.0.1:0"]
    if way == "tls":
        cert, key = Authority(tmp_path / "authority").server(tmp_path / "server")
        flags += ["--tls-cert", str(cert), "--tls-key", str(key)]
    address = server(make_store(tmp_path / "store"), *flags).address
    with h2.Peer(f"tls:{address}" if way == "tls" else address, max_header_list_size=SIGN, initial_window_size=UNLIMITED) as peer:
        peer.send(h2.window_update(0, UNLIMITED - 65535) + vectors.big_call(1))
        expect_no_more_than(peer, MOST_BYTES)
        peer.send(h2.window_update(1, 1000))
        expect_no_more_than(peer, 1000)
        # A change goes for streams that run, too, by the difference of what we take of both.
        settings = h2.settings(initial_window_size=UNLIMITED - 1) + h2.settings(initial_window_size=MOST_BYTES + 1)
        peer.send(settings + h2.settings(initial_window_size=MOST_BYTES - 10) + h2.window_update(1, 20))
        expect_no_more_than(peer, 10)


def test_windows_that_come_byte_by_byte_are_lowered(server, tmp_path):
    running = server(make_store(tmp_path / "store"))
    with h2.Peer(running.address, max_header_list_size=SIGN, initial_window_size=1000) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.send(h2.window_update(0, UNLIMITED - 65535))
        for byte in h2.frame(h2.SETTINGS, payload=struct.pack(">HIHI", h2.MAX_FRAME_SIZE, 1 << 20, h2.INITIAL_WINDOW_SIZE, UNLIMITED)):
            peer.send(bytes([byte]))
        peer.send(vectors.big_call(1))
        expect_no_more_than(peer, MOST_BYTES)


def test_windows_of_other_clients_are_theirs(server, tmp_path):
    """A proxy may say what it has read only once gigabytes have come, nginx does."""
    running = server(make_store(tmp_path / "store"))
    with h2.Peer(running.address, initial_window_size=UNLIMITED) as peer:
        peer.send(h2.window_update(0, UNLIMITED - 65535) + vectors.big_call(1))
        assert receive(peer, 10 * MOST_BYTES, seconds=30) >= 10 * MOST_BYTES
