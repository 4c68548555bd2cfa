"""One hostile connection, or as many as it gets: memory stays bounded, the server lives, and others are served (P14, T6, T7, T8).

The figures that hang on time are in the table that run.sh prints."""
import json
import subprocess
import threading
import time
from datetime import datetime, timedelta

import pytest
from processes import wait_until

import vectors
from big_store import make_store, make_store_with_names
from observing import Observation
from wire_fuzz import answers

MIB = 1 << 20
SECONDS = 1  # Of an attack that is not cut.
PATIENCE_SECONDS = 60  # For one that is, far above what it takes.

# What the process may grow by.
GROWTH = {"continuation_flood": 32 * MIB, "empty_continuations": 32 * MIB,
          "unread_plans": 400 * MIB}  # 128 MiB are kept; two more may be in the making, 96 MiB each as their vectors grow.
DEFAULT_GROWTH = 64 * MIB

# Those that no honest client resembles: the guard closes the connection.
CLOSED = ["continuation_flood", "empty_continuations", "hpack_string", "rapid_reset", "rapid_reset_of_running_calls",
          "stream_flood", "settings_flood", "deaf_settings_flood", "priority_flood", "unknown_frames",
          "empty_data"]

# Those that take all places of their peer, which is also ours: new connections have to wait for the end.
CROWDS = ["slow_readers", "half_open", "half_preface", "half_frame", "reconnects", "reconnects_of_a_reader", "abandoned_calls"]


@pytest.fixture(params=["tcp", "unix"])
def address_flags(request, tmp_path):
    return ["--listen", "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/s.sock"]


class Others:
    """Within `with`: one call after the other, each on a connection of its own."""

    def __init__(self, address):
        self.answered, self.failed, self._address, self._ended = 0, 0, address, threading.Event()

    def _call(self):
        while not self._ended.wait(0.02) or self.answered + self.failed == 0:
            if answers(self._address):
                self.answered += 1
            else:
                self.failed += 1

    def __enter__(self):
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


@pytest.mark.parametrize("name", vectors.ALL)
def test_an_attack_costs_little_and_others_are_served(server, tmp_path, address_flags, name):
    running = server(make_store_with_names(tmp_path / "store"), *address_flags)
    assert answers(running.address)
    with Others(running.address) as others, Observation(running.pid) as seen:
        seconds = PATIENCE_SECONDS if name in CLOSED else SECONDS
        result = vectors.ALL[name](running.address, time.monotonic() + seconds)
    assert running.process.poll() is None, f"the server died: {running.log}"
    assert seen.growth_bytes <= GROWTH.get(name, DEFAULT_GROWTH), f"{seen.growth_bytes / MIB:.0f} MiB, {result}"
    if name not in CROWDS:
        assert others.answered and not others.failed, f"{others.answered} answered, {others.failed} failed"
    wait_until(lambda: answers(running.address), "it serves whoever comes afterwards")
    if name in CLOSED:
        assert result.closed_after is not None, str(result)


def test_each_reason_is_logged_once_a_second_at_most(server, tmp_path):
    running, rounds = server(make_store(tmp_path / "store")), 10
    for _ in range(rounds):
        assert vectors.rapid_reset(running.address, time.monotonic() + PATIENCE_SECONDS).closed_after is not None
    wait_until(lambda: "the guard closed a connection" in running.log, "the close is logged")
    lines = [json.loads(line) for line in running.log.splitlines() if "the guard closed a connection" in line]
    assert sum(1 + line["suppressed"] for line in lines) <= rounds
    assert (lines[0]["reason"], lines[0]["suppressed"]) == ("cancels", 0)
    seconds = [datetime.fromisoformat(line["ts"].replace("Z", "+00:00")) for line in lines]
    assert all(later - earlier >= timedelta(seconds=0.99) for earlier, later in zip(seconds, seconds[1:]))


WITHIN_TLS = ["continuation_flood", "hpack_string", "rapid_reset", "stream_flood", "ping_flood", "settings_flood"]


@pytest.fixture(scope="module")
def tls_flags(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key),
                    "-out", str(certificate)], check=True, capture_output=True)
    return ["--tls-cert", str(certificate), "--tls-key", str(key)]


@pytest.mark.parametrize("name", WITHIN_TLS)
def test_an_attack_within_tls_is_cut_too(server, tmp_path, tls_flags, name):
    running = server(make_store(tmp_path / "store"), *tls_flags)
    address = f"tls:{running.address}"
    assert answers(address)
    with Observation(running.pid) as seen:
        result = vectors.ALL[name](address, time.monotonic() + PATIENCE_SECONDS)
    assert result.closed_after is not None, str(result)
    assert seen.growth_bytes <= DEFAULT_GROWTH, f"{seen.growth_bytes / MIB:.0f} MiB, {result}"
    assert answers(address)
    wait_until(lambda: '"the guard closed a connection"' in running.log and '"peer":"127.0.0.1"' in running.log, "whose it was is logged")
