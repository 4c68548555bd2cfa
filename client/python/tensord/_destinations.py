"""Memory that callers give to be read into."""

from __future__ import annotations

from typing import Any

from ._core import PlannedRead
from ._errors import BadRequestError
from ._frameworks import _TORCH, BITS, numpy_dtype
from ._index import ParsedIndex


def is_destination(what: Any) -> bool:
    """Whether a value is memory rather than an index. numpy's integers, which are both, are indices."""
    return _is_torch(what) or _is_numpy(what) or (not hasattr(type(what), "__index__") and _is_buffer(what))


def check_destination(out: Any, planned: PlannedRead, shape: tuple[int, ...]) -> None:
    """Raises BadRequestError, a ValueError, where shape, dtype or place of an array are not the result's.

    A flat array of bytes fits any result of its size; the C++ library compares sizes.
    """
    if not (_is_numpy(out) or _is_torch(out)):
        return
    if _is_torch(out) and out.device.type != "cpu":
        raise _bad(f"{planned.tensor}: the destination is on {out.device}, wanted is CPU memory")
    if _is_bytes(out):
        return
    have = str(out.dtype).removeprefix("torch.") if _is_torch(out) else out.dtype
    want = _TORCH.get(planned.dtype) if _is_torch(out) else numpy_dtype(planned.dtype)
    if have != want:
        raise _bad(f"{planned.tensor}: the destination has dtype {have}, the result {want}")
    if planned.dtype in BITS:
        raise _bad(f"{planned.tensor}: {planned.dtype} is read packed, into a flat array of bytes")
    if tuple(out.shape) != shape:
        raise _bad(f"{planned.tensor}: the destination has shape {tuple(out.shape)}, the result {shape}")


def native_memory(out: Any, index: ParsedIndex) -> Any:
    """As BorrowedMemory::Borrow wants it. The caller keeps `out` alive."""
    if _is_torch(out):
        strides = [stride * out.element_size() for stride in out.stride()]
        return _described(out.data_ptr(), out.element_size(), list(out.shape), strides, index)
    if _is_numpy(out):
        if not out.flags.writeable:
            raise _bad("the destination is read-only")
        return _described(out.ctypes.data, out.itemsize, list(out.shape), list(out.strides), index)
    return out


def _described(
    address: int, item_bytes: int, shape: list[int], strides: list[int], index: ParsedIndex
) -> tuple[int, int, list[int]]:
    """(address, bytes from the first element to the last, strides or none where it is dense)."""
    dense, expected = True, item_bytes
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        dense = dense and (extent == 1 or stride == expected)
        expected *= extent
    if dense or expected == 0:
        return address, expected, []
    if any(stride <= 0 for stride, extent in zip(strides, shape, strict=True) if extent > 1):
        raise _bad("the destination has a stride that is not positive")
    span = item_bytes + sum((extent - 1) * stride for extent, stride in zip(shape, strides, strict=True))
    kept = [stride for axis, stride in enumerate(strides) if axis not in index.new_axes]
    return address, span, kept


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value).release()
    except TypeError:
        return False
    return True


def _is_numpy(value: Any) -> bool:
    return hasattr(value, "__array_interface__") and hasattr(value, "ctypes") and hasattr(value, "flags")


def _is_torch(value: Any) -> bool:
    return hasattr(value, "data_ptr") and hasattr(value, "element_size")


def _is_bytes(out: Any) -> bool:
    return len(out.shape) == 1 and str(out.dtype).removeprefix("torch.") == "uint8"


def _bad(message: str) -> BadRequestError:
    return BadRequestError(message, "INVALID_ARGUMENT", "BAD_REQUEST")
