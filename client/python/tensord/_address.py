"""Where a server is, and which model of it is meant."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple
from urllib.parse import unquote

from ._errors import BadRequestError

TCP_SCHEME = "tensord://"
UNIX_SCHEME = "tensord+unix://"
ADDRESS_VARIABLE = "TENSORD_ADDRESS"
DEFAULT_ADDRESS = "127.0.0.1:50051"


class Location(NamedTuple):
    """`address` as the C++ library takes it, e.g. "host:7070" or "unix:/run/tensord.sock"; `model` may be empty."""

    address: str
    model: str


def is_url(path: object) -> bool:
    """Whether a path names a server's model: a str, or an object with __fspath__, that begins with one of the schemes.

    `pathlib` folds double slashes, so a `Path` of such a text counts too.
    """
    return _normalized(path) is not None


def parse_url(path: object) -> Location:
    """Splits a path that `is_url`.

    `tensord://HOST:PORT/MODEL`; `tensord:///MODEL` for the server that TENSORD_ADDRESS names;
    `tensord+unix:///PATH/OF.sock/MODEL`, where the socket's path ends with the first component that is a socket or, if
    none is there yet, ends in ".sock"; or with the socket's path percent-encoded as the host,
    `tensord+unix://%2Frun%2Ftensord/MODEL`. Raises BadRequestError, a ValueError, for anything else.
    """
    text = _normalized(path)
    if text is None:
        raise BadRequestError(f"{path!r} begins neither with {TCP_SCHEME} nor with {UNIX_SCHEME}", "INVALID_ARGUMENT")
    if text.startswith(UNIX_SCHEME):
        return _parse_unix(text)
    authority, _, model = text[len(TCP_SCHEME) :].partition("/")
    return Location(authority or default_address(), model.strip("/"))


def default_address() -> str:
    """What TENSORD_ADDRESS says, else where a server listens by default."""
    return os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS


def parse_target(target: str | os.PathLike[str] | None) -> Location:
    """A URL, or a bare address as tensorctl takes it; None: the default address."""
    if target is None:
        return Location(default_address(), "")
    return parse_url(target) if is_url(target) else Location(os.fspath(target), "")


def _normalized(path: object) -> str | None:
    if not isinstance(path, str | os.PathLike):
        return None
    text = os.fspath(path)
    if not isinstance(text, str):
        return None
    for scheme in (TCP_SCHEME, UNIX_SCHEME):
        if text.startswith(scheme):
            return text
        # pathlib.Path("tensord://host/model") says "tensord:/host/model".
        if not isinstance(path, str) and text.startswith(scheme[:-1]):
            root = "/" if scheme == UNIX_SCHEME and not text.startswith(scheme[:-1] + "%") else ""
            return scheme + root + text[len(scheme) - 1 :]
    return None


def _parse_unix(text: str) -> Location:
    rest = text[len(UNIX_SCHEME) :]
    if rest and not rest.startswith("/"):
        encoded, _, model = rest.partition("/")
        return Location("unix:" + unquote(encoded), model.strip("/"))
    parts = rest.split("/")
    prefixes = ["/".join(parts[: end + 1]) for end in range(1, len(parts))]
    socket = next((p for p in prefixes if _is_socket(p)), None) or next((p for p in prefixes if p.endswith(".sock")), None)
    if socket is None:
        raise BadRequestError(
            f"{text!r} names no socket: no part of it is one or ends in .sock; write {UNIX_SCHEME}/PATH/OF.sock/MODEL",
            "INVALID_ARGUMENT",
        )
    return Location("unix:" + socket, rest[len(socket) :].strip("/"))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
