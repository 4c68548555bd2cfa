"""How a client proves who it is, and finds out who the server is."""

from __future__ import annotations

import os

# As tensorctl's.
TLS_CA_VARIABLE = "TENSORD_TLS_CA"
TLS_CERT_VARIABLE = "TENSORD_TLS_CERT"
TLS_KEY_VARIABLE = "TENSORD_TLS_KEY"
TOKEN_FILE_VARIABLE = "TENSORD_TOKEN_FILE"


def credentials(
    tls_ca: str | os.PathLike[str] | None,
    tls_cert: str | os.PathLike[str] | None,
    tls_key: str | os.PathLike[str] | None,
    token: str | None,
    token_file: str | os.PathLike[str] | None,
) -> dict[str, str]:
    """Options of the C++ library; what is None comes from the environment, "" is none. A token replaces a file."""
    return {
        "tls_ca": _path(tls_ca, TLS_CA_VARIABLE),
        "tls_cert": _path(tls_cert, TLS_CERT_VARIABLE),
        "tls_key": _path(tls_key, TLS_KEY_VARIABLE),
        "token": token or "",
        "token_file": "" if token and token_file is None else _path(token_file, TOKEN_FILE_VARIABLE),
    }


def _path(given: str | os.PathLike[str] | None, variable: str) -> str:
    return os.environ.get(variable, "") if given is None else os.fspath(given)
