"""A host that is gone: the link goes down and no end of the connection hears of it. The server frees what its client held (P9),
and a client that waits for its server goes on once there is a link again."""
import subprocess
import time

import pytest

from fault_rounds import counts
from processes import num_fds, wait_until
from reading import judge, open_channel, read
from wire import rpc
from words import Model, Truth

NAMESPACE, HERE, THERE = "tensord-far", "tensord0", "tensord1"
GONE_SECONDS = 130  # Keepalive finds it within 80.


def ip(*words, inside=False):
    subprocess.run(["ip", *(["-n", NAMESPACE] if inside else []), *words], check=True)


@pytest.fixture
def link():
    """Two ends of a cable: 10.211.0.1 here, 10.211.0.2 in a namespace of its own."""
    ip("netns", "add", NAMESPACE)
    ip("link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", NAMESPACE)
    ip("addr", "add", "10.211.0.1/24", "dev", HERE)
    ip("addr", "add", "10.211.0.2/24", "dev", THERE, inside=True)
    ip("link", "set", HERE, "up")
    ip("link", "set", THERE, "up", inside=True)
    yield
    subprocess.run(["ip", "link", "del", HERE], check=False)
    ip("netns", "del", NAMESPACE)


def test_a_host_that_is_gone_is_forgotten_and_found_again(link, server, bin_dir, tmp_path):
    (tmp_path / "store").mkdir()
    model = Model(tmp_path / "store", "m", {"t": (16 << 10, 1024)}).replace()
    truth = Truth([model])
    running = server(tmp_path / "store", "--listen", "10.211.0.1:0", "--stall-timeout", "0", "--insecure-allow-remote")
    before = num_fds(running.pid)
    # A reader so slow that the link goes down while it reads; its user has patience.
    client = subprocess.Popen(["ip", "netns", "exec", NAMESPACE, bin_dir / "tensorctl", "-s", running.address, "--timeout", "5m",
                               "get", "m", "t", "-o", tmp_path / "t.bin"], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: num_fds(running.pid) > before, "the client is connected")
    ip("link", "set", HERE, "down")
    end = time.monotonic() + GONE_SECONDS
    while num_fds(running.pid) > before:
        assert time.monotonic() < end, "the server keeps a connection to nobody"
        time.sleep(0.5)
    ip("link", "set", HERE, "up")
    _, error = client.communicate(timeout=GONE_SECONDS)
    assert client.returncode == 0, error
    assert (tmp_path / "t.bin").read_bytes() == model.path.read_bytes()[len(model.header):]
    with open_channel(running.address) as channel:
        judge(truth, read(rpc.TensorStoreStub(channel), "m"))
    counts["a host that is gone and comes back"] += 1
