"""Pulls that are interrupted: by kill -9 of the server, by kill -9 of tensorctl, by another version in between."""
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

import stores
from byte_proxy import ByteProxy, Treatment
from killable import KILLS, Daemon

# The promise is for several GB: TENSORD_PULL_GIB=4 tests/run.sh e2e.
SIZE = int(os.environ.get("TENSORD_PULL_GIB", "1")) << 30
# Of a connection that breaks, what had left the server and never counted: the client's window of 8 MiB, socket buffers of
# the server, of the proxy's two sides and of the client, each up to 6 MiB, and HTTP/2's frames.
IN_FLIGHT = 40 << 20
WAIT_SECONDS = 60


def write_model(path, seed, size=SIZE):
    """A file whose megabytes all differ, in place by rename."""
    block = np.random.default_rng(seed).integers(0, 256, 1 << 20, np.uint8)
    data = np.concatenate([block ^ np.uint8(i % 251) for i in range(size >> 20)])
    stores.write_raw(path.with_suffix(".new"), {"t": ("U8", (size,), data.tobytes())})
    os.rename(path.with_suffix(".new"), path)


def same(a, b):
    return subprocess.run(["cmp", a, b], check=False).returncode == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    write_model(root / "m.safetensors", 1)
    (root / "config.json").write_text('{"a": 1}')
    return root


@pytest.fixture
def daemon(bin_dir, store):
    one = Daemon(bin_dir, store)
    yield one
    one.kill()


def start_pull(bin_dir, daemon, directory, *flags):
    return subprocess.Popen([str(bin_dir / "tensorctl"), "-s", f"127.0.0.1:{daemon.port}", "pull", "m", str(directory),
                             "--json", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, error = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, error
    return json.loads(out)


def wait_for_bytes(directory, size):
    """Returns when the partial file holds so much; fails when the pull ended before."""
    partial = directory / "m.safetensors.partial"
    end = time.monotonic() + WAIT_SECONDS
    while not partial.exists() or partial.stat().st_size < size:
        assert time.monotonic() < end and not (directory / "m.safetensors").exists(), "the pull was too fast to be stopped"
        time.sleep(0.001)


def kill_pull(bin_dir, daemon, directory, size):
    pull = start_pull(bin_dir, daemon, directory)
    wait_for_bytes(directory, size)
    pull.send_signal(signal.SIGKILL)
    pull.communicate()
    return (directory / "m.safetensors.partial").stat().st_size


def test_pull_survives_kills_of_the_server(bin_dir, daemon, store, tmp_path):
    pull = start_pull(bin_dir, daemon, tmp_path)
    for kill in range(1, KILLS + 1):
        wait_for_bytes(tmp_path, SIZE * kill // (KILLS + 2))
        daemon.kill()
        daemon.start()
    report = finish(pull)
    assert same(tmp_path / "m.safetensors", store / "m.safetensors")
    assert same(tmp_path / "config.json", store / "config.json")
    assert report["fetched_bytes"] == report["size_bytes"]  # No byte twice.
    assert report["retries"] >= KILLS
    assert sorted(os.listdir(tmp_path)) == ["config.json", "m.safetensors"]


@pytest.mark.parametrize("what", ["pull", "get"])
def test_no_byte_crosses_the_network_twice(bin_dir, daemon, store, tmp_path, what):
    """Counted by a proxy, whatever the client says of itself: the parts in flight alone come again."""
    target, cuts = tmp_path / "m.safetensors", [SIZE // 8, SIZE // 3, SIZE // 2]
    with ByteProxy(f"127.0.0.1:{daemon.port}", Treatment) as proxy:
        arguments = ["pull", "m", tmp_path] if what == "pull" else ["get", "m", "t", "-o", tmp_path / "t.bin"]
        client = subprocess.Popen([bin_dir / "tensorctl", "-s", proxy.address, *arguments], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        for cut in cuts:
            end = time.monotonic() + WAIT_SECONDS
            while proxy.carried < cut:
                assert time.monotonic() < end and client.poll() is None, "it was too fast to be stopped"
                time.sleep(0.001)
            daemon.kill()
            daemon.start()
        _, error = client.communicate(timeout=WAIT_SECONDS)
        assert client.returncode == 0, error
        assert SIZE <= proxy.carried <= SIZE + SIZE // 100 + len(cuts) * IN_FLIGHT
    if what == "pull":
        assert same(target, store / "m.safetensors")
    else:
        header_bytes = (store / "m.safetensors").stat().st_size - SIZE
        assert subprocess.run(["cmp", "-i", f"0:{header_bytes}", tmp_path / "t.bin", store / "m.safetensors"]).returncode == 0


def test_pull_survives_kills_of_its_own(bin_dir, daemon, store, tmp_path):
    there = 0
    for part in (SIZE // 8, SIZE // 2):
        there = kill_pull(bin_dir, daemon, tmp_path, part)
    report = finish(start_pull(bin_dir, daemon, tmp_path))
    assert same(tmp_path / "m.safetensors", store / "m.safetensors")
    assert report["fetched_bytes"] <= report["size_bytes"] - there
    assert sorted(os.listdir(tmp_path)) == ["config.json", "m.safetensors"]


def test_pull_does_not_mix_versions(bin_dir, daemon, store, tmp_path):
    original = (store / "m.safetensors").stat()
    kill_pull(bin_dir, daemon, tmp_path, SIZE // 8)
    os.utime(store / "m.safetensors", ns=(original.st_atime_ns, original.st_mtime_ns - 10**9))
    daemon.kill()
    daemon.start()
    pull = start_pull(bin_dir, daemon, tmp_path)
    _, error = pull.communicate(timeout=WAIT_SECONDS)
    assert pull.returncode == 1
    assert "it was replaced in between" in error and "--restart" in error, error
    report = finish(start_pull(bin_dir, daemon, tmp_path, "--restart"))
    assert report["fetched_bytes"] == report["size_bytes"]
    assert same(tmp_path / "m.safetensors", store / "m.safetensors")


def test_two_pulls_into_one_directory_do_not_meet(bin_dir, daemon, tmp_path):
    first = start_pull(bin_dir, daemon, tmp_path)
    wait_for_bytes(tmp_path, 1)
    first.send_signal(signal.SIGSTOP)
    second = start_pull(bin_dir, daemon, tmp_path)
    _, error = second.communicate(timeout=WAIT_SECONDS)
    assert second.returncode == 1 and "another command pulls into" in error, error
    first.send_signal(signal.SIGCONT)
    finish(first)


def test_pull_tells_how_to_go_on_without_a_server(bin_dir, daemon, tmp_path):
    pull = start_pull(bin_dir, daemon, tmp_path, "--timeout", "4s")
    wait_for_bytes(tmp_path, SIZE // 8)
    daemon.kill()
    _, error = pull.communicate(timeout=WAIT_SECONDS)
    daemon.start()
    assert pull.returncode in (3, 4) and "run the command again to go on" in error, error
    assert (tmp_path / "m.safetensors.partial").stat().st_size >= SIZE // 8
    finish(start_pull(bin_dir, daemon, tmp_path))
