"""No bytes on the wire end the process (P15): the short form of wire_fuzz.py, also run against the ASan build."""
import os
import random
import subprocess
from pathlib import Path

import pytest

import wire_fuzz
from big_store import make_store

SECONDS = float(os.environ.get("TENSORD_FUZZ_SECONDS", 20)) / 2
FETCH = Path(__file__).with_name("fetch_corpus.sh")
FETCH_SECONDS = 120


@pytest.fixture(scope="module")
def corpus():
    """gRPC's own fuzz corpus; empty where Debian cannot be reached."""
    kept = FETCH.parents[2] / "build" / "grpc-corpus"
    try:
        fetched = subprocess.run([str(FETCH), str(kept)], stdout=subprocess.PIPE, text=True, timeout=FETCH_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return []
    return wire_fuzz.read_corpus(fetched.stdout.strip())


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_server_survives_whatever_the_wire_brings(server, tmp_path, corpus, kind):
    listen = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/s.sock"
    running = server(make_store(tmp_path / "store"), "--listen", listen)
    seed = int(os.environ.get("TENSORD_SEED", random.SystemRandom().randrange(1 << 31)))
    print(f"TENSORD_SEED={seed}")
    frames, connections = wire_fuzz.fuzz(running.address, SECONDS, seed=seed, corpus=corpus)
    print(f"{frames} frames on {connections} connections, {len(corpus)} files of corpus")
    assert running.process.poll() is None, running.log
    assert "Sanitizer" not in running.log and "runtime error" not in running.log, running.log
