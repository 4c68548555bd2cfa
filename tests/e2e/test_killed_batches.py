"""kill -9 of the server in the middle of a batch of the client library: it goes on at the byte, and no byte counts twice (P8)."""
import json
import subprocess

import numpy as np
import pytest

from certificates import Authority
from fault_rounds import counts
from injection import LIBRARY
from killable import KILLS, Daemon
from stores import write_raw

PROGRAM = LIBRARY.parent / "read_many"
# Between two kills: more than what is on its way to a client that halts, so that each kill breaks a stream.
PART = 32 << 20
SIZE = (KILLS + 1) * PART
# Of each part: a few large tensors, and many that share a message.
SIZES = [11 << 20, 1, 4096, 9 << 20, *range(100, 3000, 13), 10 << 20]
CONNECTIONS = {"one connection": 1, "three connections": 3}


def write_model(path):
    data, tensors, begin = np.random.default_rng(8).bytes(SIZE), {}, 0
    while begin < SIZE:
        size = min(SIZES[len(tensors) % len(SIZES)], SIZE - begin)
        tensors[f"t{len(tensors):06}"] = ("U8", (size,), data[begin:begin + size])
        begin += size
    write_raw(path, tensors)
    return data


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(directory, the bytes of all tensors in order of name)"""
    root = tmp_path_factory.mktemp("store")
    return root, write_model(root / "m.safetensors")


@pytest.fixture
def batch(bin_dir, store, tmp_path):
    """batch(flags, ca, connections): reads the model, with a kill at each halt; returns the program's account and the bytes."""
    daemons = []

    def read(flags, ca, connections):
        daemons.append(Daemon(bin_dir, store[0], *flags))
        server, out = daemons[-1], tmp_path / "out"
        arguments = [PROGRAM, f"127.0.0.1:{server.port}", "m", out, str(KILLS), str(connections), *ca]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as program:
            halts = 0
            for line in program.stdout:
                if line != "halt\n":
                    return json.loads(line), halts, out.read_bytes()
                halts += 1
                server.kill()
                server.start()
                program.stdin.write("\n")
                program.stdin.flush()
            pytest.fail(program.stderr.read())

    yield read
    for daemon in daemons:
        daemon.kill()


def check(account, halts, data, store, kind):
    assert data == store[1]
    assert (account["bytes"], halts) == (SIZE, KILLS)
    assert account["received"] == SIZE, "bytes came twice"
    assert account["retries"] >= KILLS
    counts[f"kill -9 of the server in a batch, {kind}"] += KILLS


@pytest.mark.parametrize("kind", CONNECTIONS)
def test_a_batch_survives_kills_of_the_server(batch, store, kind):
    check(*batch((), (), CONNECTIONS[kind]), store, kind)


def test_a_batch_over_tls_survives_kills_of_the_server(batch, store, tmp_path):
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.server(tmp_path / "tls")
    check(*batch(("--tls-cert", certificate, "--tls-key", key), (authority.ca,), 1), store, "TLS")
