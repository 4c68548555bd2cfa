"""Files cut short while they are served: the process lives, the stream never ends OK with wrong bytes, and a stream of another
file on the same connection never notices (P1, P2, P3)."""
import threading
import time

import grpc
import pytest

from fault_rounds import ROUNDS, rounds
from reading import Background, judge, read
from transports import Transport
from wire import rpc
from words import Model, Truth

KINDS = {
    "mapped": ({}, ()),
    "gathered": ({"columns": slice(3, 700, 2)}, ()),
    "checksum": ({"checksum": True}, ()),
    "pread": ({}, ("--read-mode", "pread")),
    "pread gathered": ({"columns": slice(3, 700, 2)}, ("--read-mode", "pread")),
}
MOMENTS = ("while it plans", "mid-stream", "behind a slow reader")


class Cut:
    """A pace that cuts the file short after some messages, and reads on slowly if asked to."""

    def __init__(self, model, size, after, slow):
        self._model, self._size, self._after, self._slow = model, size, after, slow

    def __call__(self, number):
        if number == self._after:
            time.sleep(self._slow)  # Time for the server to fill every buffer on the way.
            self._model.truncate(self._size)


def run_round(random, stub, victim, neighbour, truth, moment, fields):
    size = random.choice([0, random.randrange(victim.size_bytes), random.randrange(victim.size_bytes)])
    beside = Background(read, stub, neighbour.name)
    if moment == "while it plans":
        timer = threading.Timer(random.uniform(0, 0.004), victim.truncate, [size])
        timer.start()
        outcome = read(stub, victim.name, **fields)
        timer.join()
    else:
        slow = 0.1 if moment == "behind a slow reader" else 0
        outcome = read(stub, victim.name, pace=Cut(victim, size, random.randrange(1, 5), slow), **fields)
    if outcome.ok:
        judge(truth, outcome)
    else:
        allowed = [(grpc.StatusCode.DATA_LOSS, "FILE_CHANGED")]
        if moment == "while it plans":  # It may be gone, or be known as broken, before the call looks at it.
            allowed += [(grpc.StatusCode.FAILED_PRECONDITION, "FILE_INVALID"),
                        (grpc.StatusCode.NOT_FOUND, "TENSOR_NOT_FOUND")]
        assert (outcome.code, outcome.reason) in allowed, str(outcome)
    other = beside.join()
    assert other.ok, f"the neighbour: {other}"
    judge(truth, other)


# Every kind over TCP; elsewhere those that reach the network in another way.
ROWS = [(kind, "tcp") for kind in KINDS] + [(kind, "unix") for kind in ("mapped", "gathered")] + \
       [(kind, "tls") for kind in ("mapped", "gathered", "checksum", "pread")]


@pytest.mark.parametrize("kind,way", ROWS, ids=[f"{kind}-{way}" for kind, way in ROWS])
def test_truncation_hurts_only_its_own_stream(server, tmp_path, kind, way):
    fields, flags = KINDS[kind]
    neighbour = Model(tmp_path, "neighbour").replace()
    victims = {moment: [Model(tmp_path, f"m{i}-{j}").replace() for j in range(ROUNDS)]
               for i, moment in enumerate(MOMENTS)}
    truth = Truth([neighbour, *(model for models in victims.values() for model in models)])
    with Transport(way) as transport:
        running = server(tmp_path, *flags, *transport.flags)
        for moment in MOMENTS:
            for random, victim in zip(rounds(f"truncate {moment}, {kind}, {way}"), victims[moment]):
                with transport.channel(running) as channel:
                    run_round(random, rpc.TensorStoreStub(channel), victim, neighbour, truth, moment, fields)
                assert running.process.poll() is None, running.log
