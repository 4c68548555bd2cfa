"""Results as arrays of numpy, torch and others, without a copy where the framework can share memory."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any

from ._errors import TensordError, make_error

# numpy's own; everything else needs ml_dtypes.
_NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "U64": "<u8",
    "I32": "<i4",
    "U32": "<u4",
    "I16": "<i2",
    "U16": "<u2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
    "C64": "<c8",
}
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F4": "float4_e2m1fn",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
}
_TORCH = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "U64": "uint64",
    "I32": "int32",
    "U32": "uint32",
    "I16": "int16",
    "U16": "uint16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F4": "float4_e2m1fn_x2",
}
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # Those below a byte, packed from the least significant bit on.

_ALIASES = {
    "np": "numpy",
    "numpy": "numpy",
    "pt": "torch",
    "torch": "torch",
    "pytorch": "torch",
    "jax": "jax",
    "flax": "jax",
    "tf": "tensorflow",
    "tensorflow": "tensorflow",
    "mlx": "mlx",
    "paddle": "paddle",
}

# (data, dtype as the file spells it, shape) to an array; `data` has the buffer protocol.
Convert = Callable[[Any, str, "tuple[int, ...]"], Any]


def numpy_dtype(dtype: str) -> Any:
    """numpy's dtype for one of safetensors' names. Raises TensordError where only ml_dtypes has it and is not installed."""
    import numpy as np

    if dtype in _NUMPY:
        return np.dtype(_NUMPY[dtype])
    if dtype not in _ML_DTYPES:
        raise TensordError(f"numpy has no dtype for {dtype}", "UNIMPLEMENTED")
    if importlib.util.find_spec("ml_dtypes") is None:
        raise TensordError(f"numpy has no {dtype} of its own: pip install ml_dtypes", "UNIMPLEMENTED")
    return np.dtype(getattr(importlib.import_module("ml_dtypes"), _ML_DTYPES[dtype]))


def to_numpy(data: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """A writable array over `data`; sub-byte elements are unpacked, one to a byte."""
    import numpy as np

    if dtype in BITS:
        return (
            _unpacked(np.frombuffer(data, np.uint8), BITS[dtype], math.prod(shape)).view(numpy_dtype(dtype)).reshape(shape)
        )
    return np.frombuffer(data, numpy_dtype(dtype)).reshape(shape)


def to_torch(data: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """A tensor over `data`. F4 keeps its pairs, so its last dimension is half as long, as in the reference."""
    import torch

    name = _TORCH.get(dtype, "")
    wanted = getattr(torch, name, None)
    if wanted is None:
        raise TensordError(f"torch {torch.__version__} has no dtype for {dtype}", "UNIMPLEMENTED")
    if dtype in BITS:
        shape = (*shape[:-1], shape[-1] // 2)
    if math.prod(shape) == 0:
        return torch.empty(shape, dtype=wanted)
    return torch.frombuffer(data, dtype=torch.uint8).view(wanted).reshape(shape)


def converter(framework: str, device: str | int = "cpu") -> Convert:
    """How a framework's arrays are made. Raises TensordError for names that the reference does not know either."""
    name = _ALIASES.get(framework)
    if name is None:
        raise make_error("INVALID_ARGUMENT", "BAD_REQUEST", f"framework {framework} is invalid")
    if name == "numpy":
        return to_numpy
    if name == "torch":
        return to_torch if str(device) == "cpu" else lambda *a: to_torch(*a).to(device)
    if name == "paddle":
        return lambda *a: _to_paddle(to_numpy(*a), device)
    make = {"jax": _to_jax, "tensorflow": _to_tensorflow, "mlx": _to_mlx}[name]
    return lambda *a: make(to_numpy(*a))


def _to_jax(array: Any) -> Any:
    return importlib.import_module("jax.numpy").asarray(array)


def _to_tensorflow(array: Any) -> Any:
    return importlib.import_module("tensorflow").convert_to_tensor(array)


def _to_mlx(array: Any) -> Any:
    core = importlib.import_module("mlx.core")
    if array.dtype.name == "bfloat16":  # mlx reads no foreign dtypes.
        return core.array(array.view("<u2")).view(core.bfloat16)
    return core.array(array)


def _to_paddle(array: Any, device: str | int) -> Any:
    return importlib.import_module("paddle").to_tensor(array, place=str(device))


def _unpacked(packed: Any, bits: int, count: int) -> Any:
    """Element i is bits [i * bits, (i + 1) * bits), least significant first."""
    import numpy as np

    flat = np.unpackbits(packed, bitorder="little")[: count * bits].reshape(count, bits)
    return np.packbits(flat, axis=1, bitorder="little").reshape(count)
