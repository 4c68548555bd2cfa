"""Reading from one model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from ._calls import Calls
from ._core import Buffer, PlannedRead
from ._core import Client as NativeClient
from ._destinations import check_destination, native_memory
from ._errors import BadRequestError
from ._frameworks import Convert
from ._index import WHOLE, ParsedIndex, Shard, parse_index
from ._progress import Progress, progress_callback

# (dim, rank, world), or (dim, Shard(...)).
ShardOfModel: TypeAlias = "tuple[int, int, int] | tuple[int, Shard] | None"


class Read(NamedTuple):
    """One thing to read in a batch.

    Attributes:
        tensor: Its name.
        index: What stands between brackets after a numpy array; None: all of it.
        out: Writable memory of the result's size (numpy array, torch CPU tensor, anything with the buffer protocol); a
            numpy array or torch tensor must have the result's shape and dtype and may be strided. None: new memory.
    """

    tensor: str
    index: Any = None
    out: Any = None


class Planned(NamedTuple):
    """One thing that will be read: what the server says of it, which part it is, and the caller's memory for it, if any."""

    info: PlannedRead
    cut: ParsedIndex
    out: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The result's."""
        return self.cut.shape(self.info.shape)


@dataclass(frozen=True)
class Source:
    """A model, at one version where `version` names one, as arrays that `convert` makes; `timeout` is each call's."""

    native: NativeClient
    calls: Calls
    model: str
    version: str | None
    timeout: float | None
    convert: Convert

    def pinned(self) -> Source:
        """The same at the version that the model has now, if none was named."""
        if self.version:
            return self
        # Asks for no metadata, as far as that can be asked for.
        info = self.native.get_metadata(self.model, ["tensord"], 1, self.calls.new(self.timeout))
        return replace(self, version=info.version)

    def cut(self, tensor: str, index: Any) -> ParsedIndex:
        """Reads an index. Asks for the tensor's shape where it cannot be read without."""
        items = index if isinstance(index, tuple) else (index,)
        if all(isinstance(item, int | slice) or item is Ellipsis for item in items):
            return parse_index(index)
        call = self.calls.new(self.timeout, self.version)
        return parse_index(index, self.native.get_tensor_info(self.model, tensor, call).shape)

    def get(self, tensor: str, cut: ParsedIndex) -> Any:
        """One tensor, or a part of it."""
        call = self.calls.new(self.timeout, self.version)
        try:
            dtype, shape, data, _ = self.native.get_slice(self.model, tensor, cut.native, call)
        finally:
            self.calls.count(call)
        return self.convert(data, dtype, cut.shape(shape))

    def plan(self, reads: list[Read]) -> list[Planned]:
        """What the reads will bring, in their order."""
        cuts = [WHOLE if read.index is None else self.cut(read.tensor, read.index) for read in reads]
        infos = self._plan([(read.tensor, "", cut.native) for read, cut in zip(reads, cuts, strict=True)])
        return [Planned(info, cut, read.out) for info, cut, read in zip(infos, cuts, reads, strict=True)]

    def expand(self, patterns: str | Iterable[str], index: Any, shard: ShardOfModel) -> list[Planned]:
        """Every match of the globs once, in order of the patterns, with what is to be read of it."""
        if shard is not None and index is not None:
            raise BadRequestError("give index or shard, not both: an index may hold a Shard", "INVALID_ARGUMENT")
        wanted = [patterns] if isinstance(patterns, str) else list(patterns)
        found = self._plan([("", pattern, None) for pattern in wanted])
        unique = list({info.tensor: info for info in found}.values())
        if shard is None and index is None:
            return [Planned(info, WHOLE) for info in unique]
        cuts = [_cut_of(info, index, shard) for info in unique]
        infos = self._plan([(info.tensor, "", cut.native) for info, cut in zip(unique, cuts, strict=True)])
        return [Planned(info, cut) for info, cut in zip(infos, cuts, strict=True)]

    def fill(self, plan: list[Planned], progress: Progress) -> list[Any]:
        """Reads all of it, into memory of their own or the caller's. Raises the first failure."""
        memories, requests = [], []
        for planned in plan:
            memory, native = _memory_for(planned)
            memories.append(memory)
            requests.append((planned.info.tensor, planned.cut.native, native))
        call = self.calls.new(self.timeout, self.version)
        with progress_callback(progress, sum(planned.info.size_bytes for planned in plan)) as callback:
            try:
                failures = self.native.read_many(self.model, requests, callback, call)[2] if requests else []
            finally:
                self.calls.count(call)
        if failures:
            raise failures[0][1]
        return [
            self.convert(memory, planned.info.dtype, planned.shape) if planned.out is None else planned.out
            for memory, planned in zip(memories, plan, strict=True)
        ]

    def load(self, patterns: str | Iterable[str], shard: ShardOfModel, progress: Progress) -> dict[str, Any]:
        """Every match of the globs by name."""
        plan = self.expand(patterns, None, shard)
        names = [planned.info.tensor for planned in plan]
        return dict(zip(names, self.fill(plan, progress), strict=True))

    def _plan(self, selections: list[tuple[str, str, Any]]) -> list[PlannedRead]:
        if not selections:
            return []
        return self.native.plan(self.model, selections, self.calls.new(self.timeout, self.version))


def _memory_for(planned: Planned) -> tuple[Any, Any]:
    """What the result is made of, and the same as the C++ library wants it."""
    if planned.out is None:
        memory = Buffer(planned.info.size_bytes)
        return memory, memory
    check_destination(planned.out, planned.info, planned.shape)
    return planned.out, native_memory(planned.out, planned.cut)


def _cut_of(info: PlannedRead, index: Any, shard: ShardOfModel) -> ParsedIndex:
    if shard is None:
        return parse_index(index, info.shape)
    dim = shard[0]
    part = shard[1] if isinstance(shard[1], Shard) else Shard(shard[1], shard[2])
    rank = len(info.shape)
    at = dim + rank if dim < 0 else dim
    if not 0 <= at < rank:
        return WHOLE
    return parse_index((*[slice(None)] * at, part), info.shape)
