"""Lets code that knows nothing of tensord read from it: safetensors, and whatever loads models through it."""

from __future__ import annotations

import atexit
import functools
import importlib
import importlib.machinery
import os
import shutil
import sys
import tempfile
import threading
from typing import Any, NamedTuple

from ._address import is_url, parse_url
from ._client import Client
from ._open import load_file, safe_open

_SIBLINGS = {"torch": "pt", "numpy": "np", "flax": "jax", "tensorflow": "tf", "mlx": "mlx", "paddle": "paddle"}

_MARK = "_patched_by_tensord"
_HUB = "transformers.utils.hub"


class StandIn(NamedTuple):
    """What an empty file of a snapshot stands for: the URL of one file of a model, and what safe_open needs beside it."""

    url: str
    options: dict[str, Any]


_stand_ins: dict[str, StandIn] = {}  # By resolved path.
_snapshots: dict[tuple[str, str | None], str] = {}
_undo: list[tuple[Any, str, Any]] = []
_lock = threading.RLock()


def patch() -> None:
    """Makes `safetensors.safe_open`, every `safetensors.*.load_file` and transformers' loading accept tensord:// paths.

    Also where other modules have imported these names already. Paths of this machine go to the originals as before. May be
    called often. Needs safetensors.
    """
    with _lock:
        try:
            reference = importlib.import_module("safetensors")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("patch() changes safetensors, which is not there: pip install safetensors") from error
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
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _HubFinder)]


def snapshot(url: str, *, version: str | None = None, **options: Any) -> str:
    """A local directory that stands for a model: its side files (config.json, tokenizers) are downloaded, its safetensors
    files are empty stand-ins that the patched safe_open and load_file read from the server.

    For loaders that insist on a directory: `AutoModel.from_pretrained(tensord.snapshot("tensord:///minilm"))` after
    `tensord.patch()`. One directory per URL, version and process, removed at exit. Options as Client's. The files
    are pinned: once one of them is replaced on the server, its stand-in raises VersionChangedError.
    """
    with _lock:
        if (url, version) in _snapshots:
            return _snapshots[url, version]
        directory = tempfile.mkdtemp(prefix="tensord-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        with Client(url, **options) as client:
            info = client.get_metadata(keys=["tensord"], max_value_bytes=1, version=version)
            base = info.id.rpartition("/")[0]
            for side in info.side_files:
                client.download(side.name, _inside(directory, side.name), version=info.version)
            for file in info.files:
                path = _inside(directory, file.name)
                open(path, "xb").close()
                sibling = _sibling_url(url, base, file.name)
                pinned = client.get_metadata(model=parse_url(sibling).model, keys=["tensord"], max_value_bytes=1).version
                _stand_ins[os.path.realpath(path)] = StandIn(sibling, {**options, "version": pinned})
        _snapshots[url, version] = directory
        return directory


def stand_in(path: Any) -> StandIn | None:
    """What a URL or a snapshot's file stands for; None for any other path."""
    if is_url(path):
        return StandIn(path, {})
    if not _stand_ins or not isinstance(path, str | os.PathLike):
        return None
    return _stand_ins.get(os.path.realpath(os.fspath(path)))


def _inside(directory: str, name: str) -> str:
    """A path below the directory. A server's word does not lead out of it."""
    path = os.path.join(directory, name)
    if os.path.commonpath([directory, os.path.normpath(path)]) != directory:
        raise ValueError(f"the server names a file outside of its model: {name!r}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _sibling_url(url: str, base: str, file: str) -> str:
    """The URL of one file of the model that `url` names; `base` is the model's directory in the store."""
    model = parse_url(url).model
    head = url.rstrip("/")[: -len(model)] if model else url + "/"
    return head + (f"{base}/{file}" if base else file)


def _patched_safe_open(original: Any) -> Any:
    @functools.wraps(original, updated=())
    def open_anywhere(filename: Any, *args: Any, **kwargs: Any) -> Any:
        found = stand_in(filename)
        if found is None:
            return original(filename, *args, **kwargs)
        return safe_open(found.url, *args, **{**found.options, **kwargs})

    return open_anywhere


def _patched_load_file(original: Any, framework: str) -> Any:
    @functools.wraps(original)
    def load_anywhere(filename: Any, *args: Any, **kwargs: Any) -> Any:
        found = stand_in(filename)
        if found is None:
            return original(filename, *args, **kwargs)
        return load_file(found.url, *args, framework=framework, **{**found.options, **kwargs})

    return load_anywhere


def _patch_transformers() -> None:
    """transformers asks a hub for what is no directory; a tensord:// path is turned into its snapshot first."""
    hub = sys.modules.get(_HUB)
    if hub is not None:
        _patch_hub(hub)
    elif not any(isinstance(finder, _HubFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _HubFinder())


def _patch_hub(hub: Any) -> None:
    for name, make in (("cached_files", _at_snapshot), ("has_file", _at_snapshot), ("list_repo_templates", _templates)):
        original = getattr(hub, name, None)
        if original is not None:
            _replace(original, make(original))


def _at_snapshot(original: Any) -> Any:
    def local(value: Any) -> Any:
        return snapshot(str(value)) if is_url(value) else value

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return original(*map(local, args), **{name: local(value) for name, value in kwargs.items()})

    return call


def _templates(original: Any) -> Any:
    """Names of chat templates; the original has a way for directories only where it is not asked."""

    @functools.wraps(original)
    def call(repo_id: Any, *args: Any, **kwargs: Any) -> Any:
        return [] if is_url(repo_id) else original(repo_id, *args, **kwargs)

    return call


class _HubFinder:
    """Patches transformers' module as soon as it is imported, for programs that patch first."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != _HUB:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        loader = getattr(spec, "loader", None)
        if loader is not None:
            original = loader.exec_module

            def exec_module(module: Any) -> None:
                original(module)
                with _lock:
                    _patch_hub(module)

            loader.exec_module = exec_module
        return spec


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
