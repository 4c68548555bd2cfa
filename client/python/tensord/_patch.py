"""Lets code that knows nothing of tensord read from it: safetensors, and whatever loads models through it."""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import shutil
import sys
import tempfile
import threading
from typing import Any

from ._address import is_url
from ._client import Client
from ._open import load_file, safe_open

_SIBLINGS = {"torch": "pt", "numpy": "np", "flax": "jax", "tensorflow": "tf", "mlx": "mlx", "paddle": "paddle"}

_MARK = "_patched_by_tensord"

# A snapshot's stand-ins for safetensors files, by resolved path: the URL of what they stand for.
_stand_ins: dict[str, str] = {}
_snapshots: dict[str, str] = {}
_undo: list[tuple[Any, str, Any]] = []
_lock = threading.RLock()


def patch() -> None:
    """Makes `safetensors.safe_open`, every `safetensors.*.load_file` and transformers' loading accept tensord:// paths.

    Also where other modules have imported these names already. Paths of this machine go to the originals as before. May be
    called often. Needs safetensors.
    """
    with _lock:
        reference = importlib.import_module("safetensors")
        _replace(reference.safe_open, _patched_safe_open(reference.safe_open))
        for sibling, framework in _SIBLINGS.items():
            # Not imported here where it was not: a framework takes seconds. Its load_file then finds safe_open patched.
            original = getattr(sys.modules.get(f"safetensors.{sibling}"), "load_file", None)
            if original is not None:
                _replace(original, _patched_load_file(original, framework))
        _patch_transformers()


def unpatch() -> None:
    """Undoes patch()."""
    with _lock:
        while _undo:
            owner, name, original = _undo.pop()
            setattr(owner, name, original)


def snapshot(url: str, *, version: str | None = None, **options: Any) -> str:
    """A local directory that stands for a model: its side files (config.json, tokenizers) are downloaded, its safetensors
    files are empty stand-ins that the patched safe_open and load_file read from the server.

    For loaders that insist on a directory: `AutoModel.from_pretrained(tensord.snapshot("tensord:///minilm"))` after
    `tensord.patch()`. One directory per model and process, removed at exit. Options as Client's.
    """
    with _lock:
        if url in _snapshots:
            return _snapshots[url]
        directory = tempfile.mkdtemp(prefix="tensord-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        with Client(url, **options) as client:
            info = client.get_metadata(keys=["tensord"], max_value_bytes=1, version=version)
            base = info.id.rpartition("/")[0]
            for side in info.side_files:
                _download(client, side.name, directory)
            for file in info.files:
                path = _inside(directory, file.name)
                open(path, "xb").close()
                _stand_ins[os.path.realpath(path)] = _sibling_url(url, base, file.name)
        _snapshots[url] = directory
        return directory


def stand_in(path: Any) -> str | None:
    """The URL behind a snapshot's file; None for any other."""
    if not _stand_ins or not isinstance(path, str | os.PathLike):
        return None
    return _stand_ins.get(os.path.realpath(os.fspath(path)))


def _download(client: Client, name: str, directory: str) -> None:
    client.download(name, _inside(directory, name))


def _inside(directory: str, name: str) -> str:
    """A path below the directory. A server's word does not lead out of it."""
    path = os.path.join(directory, name)
    if os.path.commonpath([directory, os.path.normpath(path)]) != directory:
        raise ValueError(f"the server names a file outside of its model: {name!r}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _sibling_url(url: str, base: str, file: str) -> str:
    """The URL of one file of the model that `url` names; `base` is the model's directory in the store."""
    from ._address import parse_url

    model = parse_url(url).model
    head = url.rstrip("/")[: -len(model)] if model else url + "/"
    return head + (f"{base}/{file}" if base else file)


def _patched_safe_open(original: Any) -> Any:
    @functools.wraps(original, updated=())
    def open_anywhere(filename: Any, *args: Any, **kwargs: Any) -> Any:
        url = filename if is_url(filename) else stand_in(filename)
        if url is None:
            return original(filename, *args, **kwargs)
        return safe_open(url, *args, **kwargs)

    return open_anywhere


def _patched_load_file(original: Any, framework: str) -> Any:
    @functools.wraps(original)
    def load_anywhere(filename: Any, *args: Any, **kwargs: Any) -> Any:
        url = filename if is_url(filename) else stand_in(filename)
        if url is None:
            return original(filename, *args, **kwargs)
        return load_file(url, *args, framework=framework, **kwargs)

    return load_anywhere


def _patch_transformers() -> None:
    """transformers asks a hub for what is no directory; a tensord:// path is turned into its snapshot first."""
    hub = sys.modules.get("transformers.utils.hub")
    original = getattr(hub, "cached_files", None)
    if original is None:
        return

    @functools.wraps(original)
    def cached_anywhere(path_or_repo_id: Any, *args: Any, **kwargs: Any) -> Any:
        where = snapshot(str(path_or_repo_id)) if is_url(path_or_repo_id) else path_or_repo_id
        return original(where, *args, **kwargs)

    _replace(original, cached_anywhere)


def _replace(original: Any, patched: Any) -> None:
    """Wherever a module has the original under some name."""
    if getattr(original, _MARK, False):  # By an earlier call.
        return
    setattr(patched, _MARK, True)
    for module in list(sys.modules.values()):
        if module is None or getattr(module, "__name__", "").partition(".")[0] == "tensord":
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is original:
                setattr(module, name, patched)
                _undo.append((module, name, original))
