"""`load_file` as `safetensors.mlx` has it."""

from __future__ import annotations

import os
from typing import Any

from ._open import load_file as _load_file


def load_file(filename: str | os.PathLike[str], device: str | int = "cpu", **options: Any) -> dict[str, Any]:
    """All tensors of a model by name; see `tensord.load_file`."""
    return _load_file(filename, device, framework="mlx", **options)
