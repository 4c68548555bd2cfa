"""What can go wrong: one exception class per kind of failure, each also the built-in that fits."""

from __future__ import annotations

import sys
from typing import Any


class TensordError(Exception):
    """Any failure of a call. Where `safetensors` is imported, every instance is a `SafetensorError` too.

    Attributes:
        message: A sentence: what, where, got, wanted.
        code: gRPC's name of the status, e.g. "NOT_FOUND".
        reason: The server's machine-readable reason, e.g. "TENSOR_NOT_FOUND"; "" where it gave none.
    """

    def __init__(self, message: str, code: str = "UNKNOWN", reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return make_error, (self.code, self.reason, self.message)


class ModelNotFoundError(TensordError, FileNotFoundError):
    """MODEL_NOT_FOUND, FILE_NOT_FOUND: the message proposes the closest names."""


class TensorNotFoundError(TensordError, KeyError):
    """TENSOR_NOT_FOUND: the message proposes the closest names."""


class OutOfBoundsError(TensordError, IndexError):
    """INDEX_OUT_OF_BOUNDS, RANGE_OUT_OF_BOUNDS."""


class BadSliceError(TensordError, IndexError, ValueError):
    """BAD_SLICE: too many indices, a step of zero, a cut through a byte of a sub-byte dtype."""


class BadRequestError(TensordError, ValueError):
    """Any other request that cannot be right, e.g. UNEVEN_SHARD."""


class ModelStateError(TensordError, OSError):
    """The model cannot be served as asked for: FILE_INVALID, SHARD_MISSING, AMBIGUOUS_MODEL."""


class VersionChangedError(ModelStateError):
    """VERSION_CHANGED: the model was replaced since it was opened."""


class DataLossError(TensordError, OSError):
    """A file changed or failed while it was read, or the server contradicts itself. No bytes of the result count."""


class UnavailableError(TensordError, ConnectionError):
    """No connection, or it broke, or a limit of the server's is exhausted; repeating has been tried already."""


class DeadlineExceededError(TensordError, TimeoutError):
    """The call took longer than its timeout."""


class AccessError(TensordError, PermissionError):
    """The server does not let this client read that."""


class CancelledError(TensordError):
    """The call was cancelled."""


class ForkError(TensordError, RuntimeError):
    """This process was forked after its parent had made a client: use spawn, or make clients in children only."""


class FileClosedError(TensordError, ValueError):
    """Used after close."""


_BY_REASON: dict[str, type[TensordError]] = {
    "MODEL_NOT_FOUND": ModelNotFoundError,
    "FILE_NOT_FOUND": ModelNotFoundError,
    "TENSOR_NOT_FOUND": TensorNotFoundError,
    "INDEX_OUT_OF_BOUNDS": OutOfBoundsError,
    "RANGE_OUT_OF_BOUNDS": OutOfBoundsError,
    "BAD_SLICE": BadSliceError,
    "AMBIGUOUS_MODEL": ModelStateError,
    "VERSION_CHANGED": VersionChangedError,
    "FILE_INVALID": ModelStateError,
    "SHARD_MISSING": ModelStateError,
    # Of this package, never of a server.
    "FORKED": ForkError,
    "CLOSED": FileClosedError,
}

_BY_CODE: dict[str, type[TensordError]] = {
    "INVALID_ARGUMENT": BadRequestError,
    "OUT_OF_RANGE": OutOfBoundsError,
    "NOT_FOUND": ModelNotFoundError,
    "FAILED_PRECONDITION": ModelStateError,
    "DATA_LOSS": DataLossError,
    "UNAVAILABLE": UnavailableError,
    "RESOURCE_EXHAUSTED": UnavailableError,
    "ABORTED": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "CANCELLED": CancelledError,
    "UNAUTHENTICATED": AccessError,
    "PERMISSION_DENIED": AccessError,
}

_as_safetensor_error: dict[type[TensordError], type[TensordError]] = {}


def _with_reference_base(base: type[TensordError]) -> type[TensordError]:
    """The same class, but a SafetensorError as well, so that code written for the reference catches it."""
    reference = getattr(sys.modules.get("safetensors"), "SafetensorError", None)
    if reference is None:
        return base
    if base not in _as_safetensor_error:
        members = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
        _as_safetensor_error[base] = type(base.__name__, (base, reference), members)
    return _as_safetensor_error[base]


def make_error(code: str, reason: str, message: str) -> TensordError:
    """The exception for a status, its class by reason, else by code."""
    found = _BY_REASON.get(reason) or _BY_CODE.get(code, TensordError)
    return _with_reference_base(found)(message, code, reason)
