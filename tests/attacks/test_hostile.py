"""Frames that are wrong in one way each, strange handshakes, and files that are traps: nothing ends the server, nobody else suffers."""
import itertools
import os
import select
import socket
import ssl
import struct
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from certificates import Authority
from processes import num_fds, wait_until

import h2
import vectors
from big_store import make_store
from observing import Observation
from wire_fuzz import answers

MIB = 1 << 20
GROWTH = 64 * MIB
REPEATS = 30  # Of each wrong frame, each on a connection of its own.
LIMIT_SECONDS = 60
LIST = vectors.LIST
BEGIN = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.call_headers(LIST))
BEGIN_AND_END = h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, h2.call_headers(LIST))
MESSAGE = h2.frame(h2.DATA, h2.END_STREAM, 1, h2.message(b""))


def setting(number, value, count=1):
    return h2.frame(h2.SETTINGS, payload=struct.pack(">HI", number, value) * count)


def block(data, stream=1, flags=h2.END_HEADERS):
    return h2.frame(h2.HEADERS, flags, stream, data)


CALL = h2.call_headers(LIST)
WRONG = {
    "data after the end": BEGIN_AND_END + MESSAGE,
    "data on a stream that never began": h2.frame(h2.DATA, 0, 7, b"x" * 1000),
    "data on stream 0": h2.frame(h2.DATA, 0, 0, b"x"),
    "headers twice": BEGIN + BEGIN,
    "headers after the end": BEGIN_AND_END + BEGIN_AND_END,
    "headers on stream 0": block(CALL, 0),
    "headers on an even stream": block(CALL, 2),
    "the last stream first": block(CALL, 0x7FFFFFFF) + BEGIN,
    "streams backwards": block(CALL, 101) + block(CALL, 99),
    "a body that is no message": BEGIN + h2.frame(h2.DATA, h2.END_STREAM, 1, b"\xff" * 100),
    "half a message": BEGIN + h2.frame(h2.DATA, h2.END_STREAM, 1, struct.pack(">BI", 0, 100) + b"x"),
    "a compressed message": BEGIN + h2.frame(h2.DATA, h2.END_STREAM, 1, struct.pack(">BI", 1, 4) + b"xxxx"),
    "a message of 4 GiB": BEGIN + h2.frame(h2.DATA, 0, 1, struct.pack(">BI", 0, 0xFFFFFFFF) + b"x" * 1000),
    "no headers at all": block(b"", flags=h2.END_HEADERS | h2.END_STREAM),
    "no path": block(h2.literal(b":method", b"POST") + h2.literal(b"content-type", b"application/grpc")),
    "GET": block(CALL.replace(h2.string(b"POST"), h2.string(b"GET"))),
    "unknown pseudo header": block(CALL + h2.literal(b":nothing", b"x")),
    "upper case": block(CALL + h2.literal(b"UPPER", b"x")),
    "an index that is not": block(h2.index(5000)),
    "index 0": block(b"\x80"),
    "an integer without end": block(b"\xff" + b"\xff" * 60),
    "bad huffman": block(CALL + b"\x00\x01x\x84\xff\xff\xff\xff"),
    "a string beyond the block": block(CALL + b"\x00\x01x\x7f\xff\x7f" + b"v" * 10),
    "a table of 4 GiB": block(h2.integer(0xFFFFFFFF, 5, 0x20) + CALL),
    "a table that changes": block(b"".join(h2.integer(size, 5, 0x20) for size in (0, 4096) * 2000) + CALL),
    "a header list of 16 KiB": block(CALL + h2.literal(b"x", b"v" * 16000)),
    "a NUL in a header": block(CALL + h2.literal(b"x", b"a\0b") + h2.literal(b"y\0z", b"c")),
    "padding beyond the frame": h2.frame(h2.DATA, h2.PADDED, 1, b"\xffx"),
    "padded headers without room": h2.frame(h2.HEADERS, h2.PADDED | h2.END_HEADERS, 1, b"\x05abc"),
    "a frame above the limit": h2.frame(h2.DATA, 0, 1, b"x" * 20000),
    "a frame of 16 MiB that never comes": b"\xff\xff\xff" + h2.frame(h2.DATA, 0, 1)[3:],
    "settings of 5 bytes": h2.frame(h2.SETTINGS, payload=b"12345"),
    "settings with a stream": h2.frame(h2.SETTINGS, 0, 1),
    "a window of 4 GiB": setting(h2.INITIAL_WINDOW_SIZE, 0xFFFFFFFF),
    "frames of 16 MiB": setting(h2.MAX_FRAME_SIZE, 0xFFFFFF),
    "frames of 1 byte": setting(h2.MAX_FRAME_SIZE, 1) + BEGIN + MESSAGE,
    "a table of nothing and of all": b"".join(setting(1, value) for value in (0, 0xFFFFFFFF) * 20),
    "no list of headers": setting(6, 0) + BEGIN + MESSAGE,
    "push": h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, struct.pack(">I", 2) + CALL),
    "settings of 2,700 values": setting(0x77, 1, 2700),
    "a window update of 0": h2.window_update(0, 0),
    "a window update of 0 for a call": BEGIN + h2.window_update(1, 0),
    "a window beyond 2^31": BEGIN + h2.window_update(1, 0x7FFFFFFF) * 3,
    "priority on itself": h2.frame(h2.PRIORITY, 0, 1, struct.pack(">IB", 1, 255)),
    "priority of 4 bytes": h2.frame(h2.PRIORITY, 0, 1, b"1234"),
    "a ping of 7 bytes": h2.frame(h2.PING, 0, 0, b"1234567"),
    "a pong that nobody asked for": h2.frame(h2.PING, h2.ACK, 0, b"12345678"),
    "settings acknowledged again": h2.frame(h2.SETTINGS, h2.ACK) * 5,
    "goodbye, and on": h2.frame(h2.GOAWAY, 0, 0, struct.pack(">II", 0, 0)) + BEGIN + MESSAGE,
    "a reset of what never began": h2.rst(9),
    "a continuation of nothing": h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, CALL),
    "another frame within a block": h2.frame(h2.HEADERS, 0, 1, CALL) + h2.frame(h2.PING, 0, 0, b"12345678"),
    "a block of another stream": h2.frame(h2.HEADERS, 0, 1, CALL) + h2.frame(h2.CONTINUATION, h2.END_HEADERS, 3, b""),
}


@pytest.fixture(scope="module", params=["tcp", "unix"])
def running(request, module_server, tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile")
    listen = "127.0.0.1:0" if request.param == "tcp" else f"unix:{directory}/s.sock"
    return module_server(make_store(directory / "store"), "--listen", listen)


def test_what_is_wrong_in_one_way_hurts_nobody(running):
    for name, wrong in WRONG.items():
        with Observation(running.pid) as seen:
            sent = 0
            while sent < REPEATS:
                with suppress(OSError, h2.Closed), h2.Peer(running.address) as peer:
                    peer.send(wrong)
                    peer.send(h2.frame(h2.PING, 0, 0, b"12345678"))
                    peer.sock.settimeout(0.02)
                    with suppress(TimeoutError):
                        peer.sock.recv(1 << 16)
                sent += 1
        assert running.process.poll() is None, (name, running.log[-2000:])
        assert seen.growth_bytes <= GROWTH, (name, seen.growth_bytes)
        assert answers(running.address), name


def first_bytes(address, data, seconds=LIMIT_SECONDS):
    """What the server says to `data` before it closes or falls silent."""
    with h2.dial(address, timeout=seconds) as sock:
        with suppress(OSError):
            sock.sendall(data)
            return sock.recv(4096)
    return b""


def test_other_protocols_are_told_nothing(running):
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"SSH-2.0-x\r\n", bytes(5000),
                 h2.PREFACE[:-1] + b"x" + h2.settings()):
        told = first_bytes(running.address, data)
        assert b"HTTP/1" not in told or b"400" in told, told
        assert b"tensord" not in told.lower() and b"/" not in told.replace(b"HTTP/2", b"").replace(b"HTTP/1", b""), told
        assert answers(running.address)


def test_many_that_say_nothing_are_closed_and_leave_nothing(server, tmp_path):
    """10,000 connections that never speak, as many at once as are let in; another address is served meanwhile."""
    started = server(make_store(tmp_path / "store"))
    assert answers(started.address)
    host, port = started.address.rsplit(":", 1)
    before = num_fds(started.pid)
    with Observation(started.pid) as seen:
        kept = []
        for number in range(10_000):
            sock = socket.socket()
            sock.bind((f"127.0.0.{2 + number % 3}", 0))
            sock.settimeout(LIMIT_SECONDS)
            with suppress(OSError):
                sock.connect((host, int(port)))
                if number % 2:
                    sock.send(h2.PREFACE[:12])
            kept.append(sock)
            if len(kept) > 150:
                kept.pop(0).close()
            if number % 1000 == 0:
                assert answers(started.address), number
        for sock in kept:
            sock.close()
    assert seen.growth_bytes <= GROWTH
    wait_until(lambda: num_fds(started.pid) <= before + 2, "its descriptors are free again")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(module_server, authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = authority.server(directory)
    return module_server(make_store(directory / "store"), "--tls-cert", certificate, "--tls-key", key)


def hello():
    """A client's first bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_handshakes_that_stop_halfway_are_closed(tls):
    address, said = tls.address, hello()
    with ExitStack() as stack, Observation(tls.pid) as seen:
        socks = []
        for number in range(60):
            sock = stack.enter_context(h2.dial(address, timeout=LIMIT_SECONDS))
            sock.sendall(said[:number * len(said) // 60] if number % 2 else said)
            socks.append(sock)
        for sock in socks:
            with suppress(OSError):
                while sock.recv(4096):
                    pass
    assert seen.growth_bytes <= GROWTH
    wait_until(lambda: answers(f"tls:{address}"), "it serves afterwards")


def test_a_hello_that_comes_byte_by_byte_is_closed_in_time(tls):
    """Each byte is progress; all of them together have one time limit."""
    with h2.dial(tls.address, timeout=LIMIT_SECONDS) as sock:
        end, rest = time.monotonic() + LIMIT_SECONDS, itertools.chain(b"\x16\x03\x01\x20\x00", itertools.repeat(1))
        with suppress(OSError):
            while time.monotonic() < end:
                sock.sendall(bytes([next(rest)]))
                if select.select([sock], [], [], 0.2)[0] and not sock.recv(4096):
                    break
        assert time.monotonic() < end, "it waited for ever"


@pytest.mark.parametrize("options, works", [
    (["-tls1_3"], True), (["-tls1_2"], True), (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
    (["-tls1_2", "-cipher", "NULL@SECLEVEL=0"], False), (["-alpn", "http/1.1"], False)])
def test_only_good_tls_is_spoken(tls, options, works):
    alpn = [] if "-alpn" in options else ["-alpn", "h2"]
    ended = subprocess.run(["openssl", "s_client", "-connect", tls.address, *alpn, *options], input=b"", capture_output=True,
                           timeout=LIMIT_SECONDS, check=False)
    told = ended.stdout.decode(errors="replace")
    assert ("ALPN protocol: h2" in told) == works, told[-800:]


def unread_bytes(port):
    """What the kernel still keeps for connections that have come to `port`."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = "01"
    return sum(int(row[4].split(":")[1], 16) for row in rows
               if row[3] == established and int(row[1].split(":")[1], 16) == port)


def test_renegotiation_is_refused(server, authority, tmp_path):
    """The client says hello once more; what the server says until it ends is no second handshake."""
    certificate, key = authority.server(tmp_path)
    started = server(make_store(tmp_path / "store"), "--tls-cert", certificate, "--tls-key", key)
    command = ["openssl", "s_client", "-connect", started.address, "-tls1_2", "-alpn", "h2", "-msg"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        lines = []

        def read_until(text):
            while text not in (line := client.stdout.readline()):
                assert line, b"".join(lines)
                lines.append(line)
            lines.append(line)

        read_until(b"Finished")
        read_until(b"<<< TLS 1.2, Handshake")
        read_until(b"ALPN protocol: h2")
        client.stdin.write(b"R\n")
        client.stdin.flush()
        read_until(b"ClientHello")
        wait_until(lambda: unread_bytes(int(started.address.rsplit(":", 1)[1])) == 0, "the server has read the second hello")
        assert started.stop() == 0
        told = b"".join(lines) + client.stdout.read()
        client.wait(LIMIT_SECONDS)
    assert told.count(b"ClientHello") == 2 and told.count(b"ServerHello\n") == 1, told.decode(errors="replace")[-2000:]


def test_a_link_or_a_file_in_the_sockets_place_is_never_followed(server, bin_dir, tmp_path):
    store, victim = make_store(tmp_path / "store"), tmp_path / "victim"
    victim.write_text("precious")
    for name, make in (("link", lambda path: path.symlink_to(victim)), ("dangling", lambda path: path.symlink_to(tmp_path / "no")),
                       ("file", lambda path: path.write_text("x")), ("directory", lambda path: path.mkdir()),
                       ("fifo", os.mkfifo)):
        path = tmp_path / name
        make(path)
        result = subprocess.run([str(bin_dir / "tensord"), "--store", str(store), "--listen", f"unix:{path}"], check=False,
                                capture_output=True, timeout=LIMIT_SECONDS)
        assert result.returncode == 2, (name, result.stderr)
        assert victim.read_text() == "precious" and not (tmp_path / "no").exists()
    started = server(store, "--listen", f"unix:{tmp_path}/s.sock")
    assert answers(started.address)
