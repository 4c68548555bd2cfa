"""A wire fuzzer that speaks enough HTTP/2 to get deep: valid conversations, mutated frame by frame, and gRPC's own fuzz corpus.

usage: wire_fuzz.py ADDRESS [--seconds N] [--frames N] [--seed N] [--corpus DIRECTORY]
Ends with 0 where the server still answers. What the server's process did is for the caller to check.
"""
import argparse
import itertools
import random
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

import h2

METHODS = [b"/tensord.v1.TensorStore/" + name for name in (
    b"ListModels", b"ListTensors", b"GetMetadata", b"PeekTensor", b"GetTensor", b"GetSlice", b"GetTensors", b"ReadFile")] + [
        b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch",
        b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"/no.such/Method", b"x", b""]
REQUESTS = [b"", b"\x0a\x03big", b"\x0a\x03big\x1a\x01t", b"\x0a\x03big\x12\x01*", b"\x08\x01\x10\xff\xff\xff\xff\x0f"]
NUM_STORE_METHODS = 8  # The first of METHODS, in the order of service_fuzz.cc.
SEEDS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "service_fuzz"
ODD_HEADERS = [(b"grpc-timeout", b"1n"), (b"grpc-timeout", b"99999999H"), (b"grpc-encoding", b"gzip"), (b"te", b"x"),
               (b"x-bin", b"!!"), (b"x-bin", b"AAAA"), (b"grpc-trace-bin", b"AA"), (b"content-type", b"application/grpc+x"),
               (b"user-agent", b"\xff\x00"), (b":path", b"/twice"), (b"grpc-accept-encoding", b"gzip,,identity"),
               (b"cookie", b"a" * 9000), (b"x-request-id", b"r" * 70), (b"authorization", b"Bearer x"), (b"", b"")]
SETTINGS_IDS = [0, 1, 2, 3, 4, 5, 6, 8, 0xFE03, 0xFFFF]
NUMBERS = [0, 1, 2, 9, 100, 0x3FFF, 0x4000, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
CONNECTIONS_BETWEEN_CHECKS = 200
ANSWER_SECONDS = 30


def _read_seeds():
    """(method, request) of the request fuzzer's corpus, for the model and the tensor that are served here."""
    seeds = []
    for path in sorted(SEEDS.iterdir()):
        data = path.read_bytes()
        request = data[1:].replace(b"\x0a\x01m", b"\x0a\x03big").replace(b"\x01a", b"\x01t")
        seeds.append((METHODS[data[0] % NUM_STORE_METHODS], request))
    return seeds


REQUEST_SEEDS = _read_seeds()


def method_and_request(rng):
    """Half of them fit together, more or less."""
    if rng.random() < 0.5:
        return rng.choice(METHODS), rng.choice(REQUESTS)
    method, request = rng.choice(REQUEST_SEEDS)
    return method, mutate_bytes(rng, request) if request and rng.random() < 0.7 else request


def call(rng, stream):
    """The frames of one call, as an honest client would send them, but for its taste in headers."""
    method, request = method_and_request(rng)
    extra = [rng.choice(ODD_HEADERS) for _ in range(rng.choice([0, 0, 1, 3]))]
    block = h2.call_headers(method, extra, indexed=rng.random() < 0.3)
    frames = []
    if rng.random() < 0.2:  # In pieces.
        cut = rng.randrange(len(block))
        frames += [h2.frame(h2.HEADERS, 0, stream, block[:cut]),
                   h2.frame(h2.CONTINUATION, h2.END_HEADERS, stream, block[cut:])]
    else:
        frames.append(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block))
    payload = h2.message(request)
    if rng.random() < 0.2:  # Padded.
        payload = bytes([3]) + payload + b"\0\0\0"
        frames.append(h2.frame(h2.DATA, h2.END_STREAM | h2.PADDED, stream, payload))
    else:
        frames.append(h2.frame(h2.DATA, rng.choice([0, h2.END_STREAM, h2.END_STREAM]), stream, payload))
    if rng.random() < 0.3:
        frames.append(h2.rst(stream, rng.choice(NUMBERS)))
    if rng.random() < 0.3:
        frames.append(h2.window_update(rng.choice([0, stream]), rng.choice(NUMBERS)))
    return frames


def conversation(rng):
    """The frames of a valid connection after the preface: settings, calls side by side, pings."""
    frames = [h2.settings(initial_window_size=rng.choice([0, 1, 65535, 0x7FFFFFFF])), h2.frame(h2.SETTINGS, h2.ACK)]
    calls = [call(rng, 1 + 2 * i) for i in range(rng.choice([1, 2, 5, 12]))]
    while calls := [each for each in calls if each]:
        frames.append(rng.choice(calls[:3]).pop(0))
        if rng.random() < 0.1:
            frames.append(h2.frame(h2.PING, rng.choice([0, h2.ACK]), 0, b"12345678"))
    return frames


def any_frame(rng):
    """A frame of any type, with a payload of the right size as often as not."""
    kind, stream = rng.choice([*range(10), 10, 0x77, 255]), rng.choice([0, 1, 3, 5, 2, 0x7FFFFFFF])
    number = struct.pack(">I", rng.choice(NUMBERS))
    payload = rng.choice([b"", number, number * 2, number + b"\0", rng.randbytes(rng.choice([1, 5, 6, 8, 40])),
                          struct.pack(">HI", rng.choice(SETTINGS_IDS), rng.choice(NUMBERS)) * rng.choice([1, 2, 40])])
    return h2.frame(kind, rng.choice([0, 1, 4, 5, 8, 0x20, 0x2D, 255]), stream, payload)


def mutate_bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        where = rng.randrange(len(data))
        action = rng.randrange(4)
        if action == 0:
            data[where] ^= 1 << rng.randrange(8)
        elif action == 1:
            data[where] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif action == 2:
            data[where:where] = rng.randbytes(rng.choice([1, 2, 9]))
        elif len(data) > 10:
            del data[where:where + rng.choice([1, 2, 9])]
        if not data:
            return b"\0"
    return bytes(data)


def mutate(rng, frames):
    for _ in range(rng.choice([0, 1, 1, 2, 4, 10])):
        where, action = rng.randrange(len(frames)), rng.randrange(7)
        if action == 0:
            frames[where] = mutate_bytes(rng, frames[where])
        elif action == 1:  # Within its payload, so that what follows is still framed.
            frame = frames[where]
            if len(frame) > 9:
                payload = mutate_bytes(rng, frame[9:])
                frames[where] = struct.pack(">I", len(payload))[1:] + frame[3:9] + payload
        elif action == 2:
            frames.insert(where, frames[rng.randrange(len(frames))])
        elif action == 3 and len(frames) > 1:
            del frames[where]
        elif action == 4:
            other = rng.randrange(len(frames))
            frames[where], frames[other] = frames[other], frames[where]
        elif action == 5:
            frames.insert(where, any_frame(rng))
        else:
            frame = bytearray(frames[where])
            if len(frame) >= 9:
                frame[rng.choice([3, 4, 8])] = rng.choice([0, 1, 2, 4, 5, 9, 0x25, 255])
            frames[where] = bytes(frame)
    return frames


def read_corpus(directory):
    """Byte strings that gRPC's authors keep for fuzzing their server: whole connections, most with the preface."""
    if directory is None:
        return []
    return [path.read_bytes() for path in sorted(Path(directory).rglob("*")) if path.is_file()]


def from_corpus(rng, corpus):
    data = rng.choice(corpus)
    return mutate_bytes(rng, data) if data and rng.random() < 0.7 else data


def talk(address, data, rng):
    """Says it in one or several pieces, listens a little, and leaves in one of three ways."""
    # On TCP from many addresses of loopback: what one peer may do is limited, and this is to get deep.
    source = None if address.startswith("unix:") else f"127.{rng.randrange(1, 255)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    with suppress(OSError), h2.dial(address, timeout=5, source=source) as sock:
        cut = rng.randrange(len(data) + 1) if rng.random() < 0.3 else 0
        for piece in filter(None, (data[:cut], data[cut:])):
            sock.sendall(piece)
        if rng.random() < 0.1:
            sock.shutdown(1)
        sock.settimeout(rng.choice([0.0005, 0.002, 0.01]))
        with suppress(TimeoutError):
            sock.recv(1 << 16)


def answers(address):
    """Whether a whole call is answered."""
    with suppress(OSError, h2.Closed):
        with h2.Peer(address) as peer:
            peer.sock.settimeout(ANSWER_SECONDS)
            peer.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.call_headers(b"/grpc.health.v1.Health/Check")) +
                      h2.frame(h2.DATA, h2.END_STREAM, 1, h2.message(b"")))
            while True:
                kind, flags, stream, _ = peer.receive()
                if stream == 1 and kind == h2.HEADERS and flags & h2.END_STREAM:
                    return True
    return False


def fuzz(address, seconds=20.0, max_frames=None, seed=0, corpus=()):
    """Returns (frames, connections). Fails where the server does not answer any more."""
    rng, frames, end = random.Random(seed), 0, time.monotonic() + seconds
    for connections in itertools.count(1):
        if corpus and rng.random() < 0.2:
            data = from_corpus(rng, corpus)
            frames += max(1, len(data) // 30)
        else:
            said = mutate(rng, conversation(rng))
            frames += len(said)
            data = (h2.PREFACE if rng.random() < 0.98 else mutate_bytes(rng, h2.PREFACE)) + b"".join(said)
        talk(address, data, rng)
        if connections % CONNECTIONS_BETWEEN_CHECKS == 0:
            assert answers(address), f"no answer after {connections} connections, seed {seed}"
            if time.monotonic() >= end or (max_frames is not None and frames >= max_frames):
                return frames, connections


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--corpus")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    frames, connections = fuzz(options.address, options.seconds, options.frames, options.seed, read_corpus(options.corpus))
    print(f"{frames} frames on {connections} connections; the server answers")


if __name__ == "__main__":
    sys.exit(main())
