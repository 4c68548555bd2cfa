"""The daemon as a process: exit codes, signals, sockets, the log's form."""
import json
import os
import signal
import socket
import stat
import subprocess

import pytest

LIMIT_SECONDS = 60


def run(bin_dir, *flags, **options):
    """Runs a daemon that is expected to end by itself."""
    return subprocess.run([str(bin_dir / "tensord"), *map(str, flags)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, **options)


@pytest.fixture
def store(tmp_path):
    header = b'{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'
    directory = tmp_path / "store"
    directory.mkdir()
    (directory / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"abcd")
    (directory / "bad\x1b[31m\n.safetensors").write_bytes(b"\x01")
    return directory


def test_usage_errors_are_exit_2(bin_dir, store):
    assert run(bin_dir).returncode == 2
    assert run(bin_dir, "--store", store, "--nonsense").returncode == 2
    assert run(bin_dir, "--store", store, "--listen", "nowhere").returncode == 2


def test_address_in_use_is_exit_3_and_leaves_the_first_server_alone(bin_dir, store, server, tmp_path):
    socket_path = tmp_path / "t.sock"
    first = server(store, "--listen", "127.0.0.1:0", "--listen", f"unix:{socket_path}")
    for address in (first.address, f"unix:{socket_path}"):
        second = run(bin_dir, "--store", store, "--listen", address)
        assert second.returncode == 3, second.stderr
        assert "in use" in second.stderr
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(socket_path))


def test_unreadable_store_is_exit_4(bin_dir, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing", tmp_path / "file"):
        for flags in ((), ("--check-config",)):
            result = run(bin_dir, "--store", path, "--listen", "127.0.0.1:0", *flags)
            assert result.returncode == 4, (path, flags, result.stderr)
            assert str(path) in result.stderr


def test_check_config_is_exit_0_without_listening(bin_dir, store, server):
    address = server(store).address
    assert run(bin_dir, "--store", store, "--listen", address, "--check-config").returncode == 0


def test_every_line_of_the_log_is_one_object(store, server):
    started = server(store, "--log-format", "json")
    assert started.stop() == 0
    lines = [json.loads(line) for line in started.log.splitlines()]
    messages = [line["msg"] for line in lines]
    assert messages[0] == "starting" and messages[-1] == "stopped"
    scanned = next(line for line in lines if line["msg"] == "scanned")
    assert (scanned["models"], scanned["tensors"], scanned["bytes"], scanned["problems"]) == (2, 1, 4, 1)
    warning = next(line for line in lines if line["level"] == "warn" and "file" in line)
    assert warning["reason"] == "FILE_INVALID" and "\x1b" not in warning["file"]


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_with_exit_0_and_take_the_socket_along(store, server, tmp_path, which):
    socket_path = tmp_path / "t.sock"
    started = server(store, "--listen", f"unix:{socket_path}")
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o660
    os.kill(started.pid, which)
    assert started.process.wait(LIMIT_SECONDS) == 0
    assert not socket_path.exists()


def test_stale_socket_is_replaced(store, server, bin_dir, tmp_path):
    socket_path = tmp_path / "t.sock"
    killed = subprocess.Popen([str(bin_dir / "tensord"), "--store", str(store), "--listen", f"unix:{socket_path}"],
                              stderr=subprocess.PIPE, text=True)
    for line in killed.stderr:
        if "listening address=" in line:
            break
    killed.kill()
    killed.wait(LIMIT_SECONDS)
    killed.stderr.close()
    assert socket_path.exists()
    server(store, "--listen", f"unix:{socket_path}", "--unix-socket-mode", "600")
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
