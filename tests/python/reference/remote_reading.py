"""A pytest plugin for the reference's own tests: whatever they read travels through a tensord server.

Every file that a test opens is published first, under a new name, in the store of a real server, and opened there. Writing
stays the reference's own. Where torch is not installed, a stand-in lets its tests be collected, and skips what needs it.

REFERENCE_STORE names the store, REFERENCE_ADDRESS the server's address.
"""

import importlib.util
import itertools
import os
import shutil
import sys
import time
import types
import unittest
from pathlib import Path

PUBLISH_SECONDS = 30  # Far above what a server needs to see a file.
LONG_AGO = 1_000_000_000  # A file that is seconds old, the server looks at twice.


class _Missing(type):
    """An attribute of a module that is not installed: usable where it is only named, a skip where it is called."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(name, (), {})

    def __call__(cls, *arguments, **options):
        raise unittest.SkipTest("torch is not installed")


class _NoTorch(types.ModuleType):
    __version__ = "0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(name, (), {})


if importlib.util.find_spec("torch") is None:
    sys.modules["torch"] = _NoTorch("torch")

import safetensors  # noqa: E402
import safetensors.numpy  # noqa: E402
import safetensors.torch  # noqa: E402

import tensord  # noqa: E402

STORE, ADDRESS = Path(os.environ["REFERENCE_STORE"]), os.environ["REFERENCE_ADDRESS"]
_numbers = itertools.count()
_client = tensord.Client(ADDRESS)


def publish(path):
    """The URL of a copy of the file, as soon as the server knows it. What is no file gets the URL that it would have."""
    path = Path(os.fspath(path))
    if not path.is_file():
        return f"tensord://{ADDRESS}/{path}"
    name = f"n{next(_numbers)}-{os.getpid()}"
    shutil.copyfile(path, STORE / f"{name}.tmp")
    os.utime(STORE / f"{name}.tmp", (LONG_AGO, LONG_AGO))
    (STORE / f"{name}.tmp").rename(STORE / f"{name}.safetensors")
    end = time.monotonic() + PUBLISH_SECONDS
    while not _client.list_models(name):
        assert time.monotonic() < end, f"the server never saw {name}"
        time.sleep(0.01)
    return f"tensord://{ADDRESS}/{name}"


def _read_remotely(function, framework=None):
    def read(filename, *arguments, **options):
        if framework is not None:
            options["framework"] = framework
        return function(publish(filename), *arguments, **options)

    return read


_safe_open = _read_remotely(tensord.safe_open)
safetensors.safe_open = safetensors.numpy.safe_open = safetensors.torch.safe_open = _safe_open
safetensors.numpy.load_file = _read_remotely(tensord.load_file, "np")
safetensors.torch.load_file = _read_remotely(tensord.load_file, "pt")
if importlib.util.find_spec("jax") is not None:
    import safetensors.flax

    safetensors.flax.load_file = _read_remotely(tensord.load_file, "jax")
