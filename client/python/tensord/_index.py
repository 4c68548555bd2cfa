"""Python's index expressions as slices on the wire."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._errors import BadSliceError, OutOfBoundsError

# (dims, where the ellipsis stands); see ToSlice in src/arguments.h.
NativeIndex: TypeAlias = tuple[list[Any], int | None]

_INT64 = 1 << 63


@dataclass(frozen=True)
class Shard:
    """One rank's part of a dimension, to stand in an index: `get_slice(name)[:, Shard(rank, world)]`.

    With L = ceil(max(size, padded_size) / (count * multiple)) * multiple it is the rows from index * L up to
    min((index + 1) * L, size), possibly none.

    Attributes:
        index: The rank, from 0.
        count: How many ranks there are.
        multiple: L is a multiple of this many rows.
        padded_size: Cut as if the dimension had at least so many rows.
        allow_uneven: Else a cut that does not come out even, at multiple 1 and without padding, is an error.
    """

    index: int
    count: int
    multiple: int = 1
    padded_size: int = 0
    allow_uneven: bool = False

    def native(self) -> tuple[int, int, int, int, bool]:
        """As ToSlice wants it."""
        return (self.index, self.count, self.multiple, self.padded_size, self.allow_uneven)


@dataclass(frozen=True)
class ParsedIndex:
    """`native` is what the server evaluates; `new_axes` are the result's dimensions of extent 1 (numpy.newaxis)."""

    native: NativeIndex | None
    new_axes: tuple[int, ...] = ()

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The result's shape, from what the server says it is."""
        result = list(shape)
        for axis in self.new_axes:
            result.insert(axis, 1)
        return tuple(result)


WHOLE = ParsedIndex(None)


def parse_index(index: Any, shape: tuple[int, ...] | None = None) -> ParsedIndex:
    """Reads what stands between brackets: integers, slices, `...`, `None`, one list of integers, Shard, or a tuple of them.

    The tensor's `shape` is needed only for lists, and where None, a list or a Shard stands beside `...`. Raises
    BadSliceError, an IndexError and ValueError, for what no numpy index is or the server does not evaluate, and leaves
    everything that depends on the tensor to the server.
    """
    if index is None or index is Ellipsis or (isinstance(index, tuple) and not index):
        return ParsedIndex(None, (0,)) if index is None else WHOLE
    items = index if isinstance(index, tuple) else (index,)
    rank = None if shape is None else len(shape)
    _check_lists(items, shape)
    dims: list[Any] = []
    new_axes: list[int] = []
    ellipsis: int | None = None
    axis = 0
    for item in items:
        if item is Ellipsis:
            if ellipsis is not None:
                raise _bad("an index can have one ellipsis ('...') only")
            ellipsis = len(dims)
            rest = _count_dims(items) if rank is not None else 0
            axis += max(0, (rank or 0) - rest)
            continue
        if item is None:
            if ellipsis is not None and rank is None:
                raise _bad("None behind '...' needs a tensor whose rank is known")
            new_axes.append(axis)
            axis += 1
            continue
        dim = _dim(item)
        dims.append(dim)
        axis += 0 if isinstance(dim, int) else 1
    return ParsedIndex(_native(dims, ellipsis, rank), tuple(new_axes))


def _native(dims: list[Any], ellipsis: int | None, rank: int | None) -> NativeIndex | None:
    """Lists and shards have no text form, so an ellipsis beside them is spelled out."""
    if not dims:
        return None
    spelled = any(isinstance(d, list) or (isinstance(d, tuple) and len(d) == 5) for d in dims)
    if ellipsis is None or not spelled:
        return dims, ellipsis
    if rank is None:
        raise _bad("'...' beside a list or a shard needs a tensor whose rank is known")
    missing = rank - len(dims)
    if missing < 0:
        raise _bad(f"too many indices: {len(dims)} for a tensor of {rank} dimensions")
    return dims[:ellipsis] + [(None, None, None)] * missing + dims[ellipsis:], None


def _count_dims(items: tuple[Any, ...]) -> int:
    return sum(1 for item in items if item is not None and item is not Ellipsis)


def _check_lists(items: tuple[Any, ...], shape: tuple[int, ...] | None) -> None:
    """numpy pairs up several lists, and moves a list's dimension in front of others when an integer stands apart from it.

    Positions are sent as ranges, which the server clamps, so it is here that one outside of the tensor is found.
    """
    lists = [item for item in items if isinstance(item, list)]
    if any(lists):
        _check_positions(items, shape)
    if len(lists) > 1 or (lists and any(hasattr(type(item), "__index__") for item in items)):
        raise _bad("a list of positions cannot stand beside another list or an integer: take two steps")


def _check_positions(items: tuple[Any, ...], shape: tuple[int, ...] | None) -> None:
    if shape is None:
        raise _bad("a list of positions needs a tensor whose shape is known")
    dims = [item for item in items if item is not None]
    at = next((i for i, d in enumerate(dims) if d is Ellipsis), None)
    if at is not None:
        dims[at : at + 1] = [slice(None)] * max(0, len(shape) - len(dims) + 1)
    for axis, (item, extent) in enumerate(zip(dims, shape, strict=False)):
        for position in item if isinstance(item, list) else ():
            if isinstance(position, int) and not -extent <= position < extent:
                message = f"index {position} leaves dimension {axis} of extent {extent}"
                raise OutOfBoundsError(message, "OUT_OF_RANGE", "INDEX_OUT_OF_BOUNDS")


def _dim(item: Any) -> Any:
    if isinstance(item, slice):
        return (_bound(item.start), _bound(item.stop), _bound(item.step))
    if isinstance(item, Shard):
        return item.native()
    if isinstance(item, list):
        return _positions(item)
    if isinstance(item, bool) or not hasattr(type(item), "__index__"):
        raise _bad(
            f"an index of {type(item).__name__} is not understood: integers, slices, '...', None, a list of integers "
            "and tensord.Shard are"
        )
    return _integer(item)


def _positions(items: list[Any]) -> list[tuple[int, int | None, int]]:
    """Single elements as ranges; none at all is one empty range."""
    if not items:
        return [(0, 0, 1)]
    positions = []
    for item in items:
        if isinstance(item, bool) or not hasattr(type(item), "__index__"):
            raise _bad(f"a list holds {type(item).__name__}, wanted are integers")
        position = _integer(item)
        positions.append((position, None if position == -1 else position + 1, 1))
    return positions


def _bound(value: Any) -> int | None:
    if value is None:
        return None
    if not hasattr(type(value), "__index__"):
        raise _bad(f"slice bounds are integers or None, not {type(value).__name__}")
    return _integer(value)


def _integer(value: Any) -> int:
    """Held within 64 bits: no dimension is that long, so nothing changes."""
    try:
        number = operator.index(value)
    except TypeError as error:  # An array of several numbers has the method, too.
        raise _bad(f"{type(value).__name__} is no single integer: {error}") from None
    return max(-_INT64 + 1, min(number, _INT64 - 1))


def _bad(message: str) -> BadSliceError:
    return BadSliceError(message, "INVALID_ARGUMENT", "BAD_SLICE")
