"""The build backend: scikit-build-core's, and an sdist that brings the C++ client library along.

In a checkout the library lies two directories above, which no sdist can reach. So it is copied to cpp/ for as long as an
sdist is made.
"""

import shutil
from pathlib import Path

from scikit_build_core import build as _backend
from scikit_build_core.build import (  # noqa: F401 - The hooks that stay as they are.
    build_wheel,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

_HERE = Path(__file__).resolve().parents[1]
_ROOT = _HERE.parents[1]
_WANTED = ("CMakeLists.txt", "LICENSE", "src", "proto", "client")


def _ignored(directory: str, names: list[str]) -> set[str]:
    """Of the client only the library and the module's sources; nothing that was built."""
    inside = Path(directory)
    unwanted = {"__pycache__", "build", "tensorctl"} & set(names)
    if inside == _ROOT / "client":
        unwanted |= {"examples"} & set(names)
    if inside == _HERE:
        unwanted |= set(names) - {"src"}
    return unwanted


def build_sdist(sdist_directory: str, config_settings: dict[str, list[str] | str] | None = None) -> str:
    """PEP 517's hook."""
    copy = _HERE / "cpp"
    if copy.exists():  # This is an unpacked sdist itself.
        return _backend.build_sdist(sdist_directory, config_settings)
    try:
        copy.mkdir()
        for name in _WANTED:
            source = _ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=_ignored)
            else:
                shutil.copy2(source, copy / name)
        return _backend.build_sdist(sdist_directory, config_settings)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
