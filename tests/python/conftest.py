"""Fixtures of the Python package's tests: the installed wheel against the real server on a free port.

TENSORD_BIN names the directory of the binaries; default: build/release/bin.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

_spec = importlib.util.spec_from_file_location("tensord_e2e_fixtures", ROOT / "tests" / "e2e" / "conftest.py")
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
Server, bin_dir, server, module_server = (
    _fixtures.Server, _fixtures.bin_dir, _fixtures.server, _fixtures.module_server)


def pytest_configure(config):
    config.addinivalue_line("markers", "frameworks: needs torch and its like; see run.sh")


PROGRAM_SECONDS = 120  # Far above what any program here takes, so that only a hung one meets it.


def small_model():
    rng = np.random.default_rng(1)
    return {
        "wte.weight": rng.standard_normal((96, 64), dtype=np.float32),
        "h.2.w": rng.standard_normal((4, 6, 5)).astype(np.float16),
        "h.10.w": rng.integers(-99, 99, (7, 3), dtype=np.int64),
        "scalar": np.array(7.5),
        "empty": np.zeros((0, 5), np.float32),
        "flag": np.array([True, False, True]),
        "complex": (rng.standard_normal(6) + 1j * rng.standard_normal(6)).astype(np.complex64).reshape(2, 3),
    }


@pytest.fixture(scope="session")
def tensors():
    return small_model()


@pytest.fixture(scope="session")
def store(tmp_path_factory, tensors):
    """A store with `small` in a directory of its own, with side files, and single files beside it."""
    root = tmp_path_factory.mktemp("store")
    (root / "org" / "small").mkdir(parents=True)
    save_file(tensors, root / "org" / "small" / "model.safetensors", metadata={"format": "np", "long": "é" * 90_000})
    (root / "org" / "small" / "config.json").write_text('{"hidden": 64}')
    save_file({"x": np.arange(10, dtype=np.int32)}, root / "plain.safetensors")
    return root


@pytest.fixture(scope="session")
def socket_path(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "tensord.sock"


@pytest.fixture(scope="session")
def running(bin_dir, store, socket_path):
    """One server for all tests that only read, on TCP and on a Unix socket."""
    started = Server([str(bin_dir / "tensord"), "--store", str(store), "--listen", "127.0.0.1:0",
                      "--listen", f"unix:{socket_path}"])
    yield started
    assert started.stop() == 0, started.log


@pytest.fixture
def url(running):
    return f"tensord://{running.address}/org/small"


@pytest.fixture
def unix_url(running, socket_path):
    return f"tensord+unix://{socket_path}/org/small"


@pytest.fixture
def run_program():
    """run_program(text, *arguments, **environment): a Python program of its own; returns what it printed."""

    def run(text, *arguments, **environment):
        result = subprocess.run([sys.executable, "-c", text, *map(str, arguments)], capture_output=True, text=True,
                                timeout=PROGRAM_SECONDS, env={**os.environ, **environment})
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout

    return run
