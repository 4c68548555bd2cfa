"""Reads safetensors models from a tensord server.

    from tensord import safe_open, load_file

    with safe_open("tensord://weights:7070/gpt2", framework="pt") as f:
        rows = f.get_slice("wte.weight")[:, 128:256]  # Only these bytes travel.
    state = load_file("tensord://weights:7070/gpt2", framework="pt")

`Client` has everything else: many tensors into given memory, iteration by pattern, rank shards, files. `tensord.aio` has
the same for asyncio, and `tensord.patch()` makes safetensors itself accept such paths.
"""

import atexit as _atexit
import os as _os
import sys as _sys

from . import _core
from ._address import Location, is_url, parse_url
from ._client import Client, FileDescription
from ._core import FileInfo, ModelInfo, PlannedRead, Problem, SideFile, TensorInfo, TensorList
from ._errors import (
    AccessError,
    BadRequestError,
    BadSliceError,
    CancelledError,
    DataLossError,
    DeadlineExceededError,
    FileClosedError,
    ForkError,
    ModelNotFoundError,
    ModelStateError,
    OutOfBoundsError,
    TensordError,
    TensorNotFoundError,
    UnavailableError,
    VersionChangedError,
    make_error,
)
from ._index import Shard
from ._open import SafeSlice, load_file, safe_open
from ._patch import patch, snapshot, unpatch
from ._source import Read

__version__ = "0.1.0"

__all__ = [
    "AccessError",
    "BadRequestError",
    "BadSliceError",
    "CancelledError",
    "Client",
    "DataLossError",
    "DeadlineExceededError",
    "FileClosedError",
    "FileDescription",
    "FileInfo",
    "ForkError",
    "Location",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelStateError",
    "OutOfBoundsError",
    "PlannedRead",
    "Problem",
    "Read",
    "SafeSlice",
    "Shard",
    "SideFile",
    "TensorInfo",
    "TensorList",
    "TensorNotFoundError",
    "TensordError",
    "UnavailableError",
    "VersionChangedError",
    "is_url",
    "load_file",
    "parse_url",
    "patch",
    "safe_open",
    "snapshot",
    "unpatch",
]

# Generated gRPC code for the service lives in tensord/v1, in whatever folder it was generated.
__path__ += [
    _folder
    for _parent in _sys.path
    if _os.path.isdir(_folder := _os.path.join(_parent, "tensord")) and _folder not in __path__
]

_core.set_error_factory(make_error)
_atexit.register(_core.close_exit_gate)
_os.register_at_fork(
    before=_core.before_fork,
    after_in_parent=_core.after_fork_in_parent,
    after_in_child=_core.after_fork_in_child,
)
