"""Connections that break, servers and clients that are killed: bytes that arrived are right, a resume goes on at the next one,
and what a dead client held is freed (P8, P9)."""
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from byte_proxy import ByteProxy, Treatment, any_treatment
from fault_rounds import rounds
from processes import num_fds, num_mappings, wait_until
from reading import judge, open_channel, read
from resuming import read_resuming
from wire import pb, rpc
from words import Model, Truth

COLUMNS = slice(5, 1000, 2)
VARIANTS = {"mapped": {}, "gathered": {"columns": COLUMNS}, "checksum": {"checksum": True}}


@pytest.fixture
def model(tmp_path):
    (tmp_path / "store").mkdir()
    return Model(tmp_path / "store", "m").replace()


class Channels:
    """A channel anew for each attempt: the one before may have lost its connection."""

    def __init__(self, address):
        self._address, self._channel = address, None

    def __call__(self):
        self.close()
        self._channel = open_channel(self._address)
        return rpc.TensorStoreStub(self._channel)

    def close(self):
        if self._channel:
            self._channel.close()


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_arrived_before_a_break_is_right_and_a_resume_completes_it(server, tmp_path, model, variant):
    truth, running = Truth([model]), server(tmp_path / "store")
    for random in rounds(f"cut, delayed or half-closed connection, {variant}"):
        with ByteProxy(running.address, any_treatment(random.random(), 3 * model.size_bytes // 2)) as proxy:
            channels = Channels(proxy.address)
            outcome = read_resuming(channels, "m", **VARIANTS[variant])
            channels.close()
        assert outcome.ok, str(outcome)
        judge(truth, outcome)
    fds = num_fds(running.pid)
    wait_until(lambda: num_fds(running.pid) <= fds, "connections that broke are closed")


@pytest.mark.parametrize("words", [["get", "m", "small"], ["get", "m", "small[:, 1:8]"], ["pull", "m"]],
                         ids=["tensor", "slice", "files"])
def test_connections_that_break_within_a_message_make_headway(server, bin_dir, tmp_path, words):
    """Each carries 100 KiB, and a message has a megabyte until the client asks for less."""
    (tmp_path / "store").mkdir()
    model = Model(tmp_path / "store", "m", {"small": (1 << 15, 8)}).replace()  # 2 MiB.
    running, out = server(tmp_path / "store"), tmp_path / "out"
    with ByteProxy(running.address, lambda: Treatment("cut", 100 << 10)) as proxy:
        where = [out] if words[0] == "pull" else ["-o", f"{out}.bin"]
        subprocess.run([bin_dir / "tensorctl", "-s", proxy.address, *words, *where], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        assert proxy.connections > model.data_bytes // (100 << 10)
    if words[0] == "pull":
        assert (out / "m.safetensors").read_bytes() == model.path.read_bytes()
    else:
        data = np.frombuffer(model.path.read_bytes()[len(model.header):], np.uint64).reshape(-1, 8)
        wanted = data[:, 1:8] if "[" in words[2] else data
        assert Path(f"{out}.bin").read_bytes() == wanted.tobytes()


def test_a_connection_that_stalls_meets_the_deadline_and_no_other_stream(server, tmp_path, model):
    truth, running = Truth([model]), server(tmp_path / "store")
    with open_channel(running.address) as good:
        for random in rounds("stalled connection"):
            with ByteProxy(running.address, lambda: Treatment("stall", random.randrange(model.size_bytes // 2))) as proxy:
                with open_channel(proxy.address) as channel:
                    call = rpc.TensorStoreStub(channel).GetTensor(pb.GetTensorRequest(model="m", tensor="t"), timeout=0.3)
                    with pytest.raises(grpc.RpcError) as error:
                        for _ in call:
                            pass
                    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                    judge(truth, read(rpc.TensorStoreStub(good), "m"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_server_is_resumed_from(server, tmp_path, model, variant):
    """kill -9 at a random message, start anew on the same address; the version is the same, so the bytes go on."""
    truth, address = Truth([model]), f"127.0.0.1:{free_port()}"
    running = [server(tmp_path / "store", "--listen", address, may_exit=(-signal.SIGKILL,))]
    for random in rounds(f"kill -9 of the server, {variant}"):
        left = [random.randrange(1, 6)]

        def pace(_):
            left[0] -= 1
            if left[0] == 0:
                running[-1].process.kill()
                running[-1].process.wait()
                running.append(server(tmp_path / "store", "--listen", address, may_exit=(-signal.SIGKILL,)))

        channels = Channels(address)
        outcome = read_resuming(channels, "m", pace=pace, **VARIANTS[variant])
        channels.close()
        assert outcome.ok, str(outcome)
        judge(truth, outcome)


def test_a_killed_client_is_forgotten(server, bin_dir, tmp_path, model):
    """kill -9 at a random moment: its connection and what it held are freed, and the store's file stays served."""
    truth, running = Truth([model]), server(tmp_path / "store")
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "m"))
        fds, mappings = num_fds(running.pid), num_mappings(running.pid, "/store/")
        for random in rounds("kill -9 of a client"):
            read_end, write_end = os.pipe()  # Nobody reads it: the client stops in the middle.
            client = subprocess.Popen([bin_dir / "tensorctl", "--server", running.address, "get", "m", "t", "-o", "-"],
                                      stdout=write_end, stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0, 0.1))
            client.kill()
            client.wait()
            os.close(read_end)
            os.close(write_end)
            judge(truth, read(stub, "m"))
        wait_until(lambda: num_fds(running.pid) <= fds, "the killed clients' connections are closed")
        wait_until(lambda: num_mappings(running.pid, "/store/") <= mappings, "mappings did not grow")
