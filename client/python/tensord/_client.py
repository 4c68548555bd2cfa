"""The client: everything that a server tells and sends, in bulk and one at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple

from . import _core
from ._address import parse_target
from ._core import Buffer, Call, ModelInfo, PlannedRead, TensorInfo, TensorList
from ._destinations import check_destination, is_destination, native_memory
from ._errors import BadRequestError
from ._frameworks import converter
from ._index import WHOLE, ParsedIndex, Shard, parse_index
from ._progress import Progress, progress_callback

# What iterate() asks for at once, and so roughly twice what it holds: one window is read while another is handed out.
DEFAULT_WINDOW_BYTES = 64 << 20


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


class FileDescription(NamedTuple):
    """Of a file that was read: size in bytes, sha256 where known, a tag that changes with the file, the model's version."""

    size_bytes: int
    sha256: str
    tag: str
    version: str


class Client:
    """A connection to one server. Thread-safe: any number of calls at once; they release the GIL.

    Ctrl-C ends a call on the main thread within milliseconds. A child that is forked once the process has made a client
    gets ForkError from every call; its parent goes on.

    Every call raises a TensordError, whose subclasses are also KeyError, IndexError, OSError and so on. UNAVAILABLE is
    retried, and broken streams resume at their byte, within `timeout`.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = None,
        connect_timeout: float = 10.0,
        checksum: bool = False,
        retry: bool = True,
        first_backoff: float = 0.1,
        last_backoff: float = 5.0,
        max_resumes_without_progress: int = 5,
        connections: int = 1,
        chunk_bytes: int = 0,
    ) -> None:
        """Touches no network: the first call connects.

        Args:
            target: "host:port", "unix:/path", or a URL as safe_open takes it, whose model is then the default of all
                calls. None: what TENSORD_ADDRESS says, else 127.0.0.1:50051.
            timeout: Seconds for each call, connecting included; None: no limit.
            connect_timeout: Seconds that a call waits for a server that is not there yet.
            checksum: Ask for a CRC32C of all data and check it.
            retry: Whether to make calls again that may then succeed.
            first_backoff: Seconds before the second attempt, doubled with each further one.
            last_backoff: Seconds between attempts at most.
            max_resumes_without_progress: So many attempts in a row may bring nothing.
            connections: Connections to the server, 1 to 64; reads of 64 MiB and more use all of them.
            chunk_bytes: Data in one message; 0: the server's choice, about 1 MiB.
        """
        location = parse_target(target)
        self.address: str = location.address
        self.model: str = location.model
        self._timeout = timeout
        self._native = _core.Client(
            location.address,
            timeout=timeout,
            connect_timeout=connect_timeout,
            chunk_bytes=chunk_bytes,
            checksum=checksum,
            retry=retry,
            first_backoff=first_backoff,
            last_backoff=last_backoff,
            max_resumes_without_progress=max_resumes_without_progress,
            connections=connections,
        )
        self._received = 0
        self._received_lock = threading.Lock()

    def close(self) -> None:
        """Ends the connection as soon as no call runs; later calls raise FileClosedError. May be called often."""
        self._native.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tensord.Client of {self.address}{' for ' + self.model if self.model else ''}>"

    @property
    def bytes_received(self) -> int:
        """Data bytes of all calls so far, of broken streams too."""
        return self._received

    # What is there.

    def list_models(self, filter: str = "", *, timeout: float | None = None) -> list[ModelInfo]:
        """All models whose id matches the glob; "": all."""
        return self._native.list_models(filter, self._call(timeout, None))

    def list_tensors(
        self,
        pattern: str = "",
        *,
        model: str | None = None,
        dtypes: Sequence[str] = (),
        order: str = "name",
        version: str | None = None,
        timeout: float | None = None,
    ) -> TensorList:
        """The tensors of a model that match the glob, in natural order of "name" or by "offset" in the files."""
        if order not in ("name", "offset"):
            raise BadRequestError(f"order is {order!r}, wanted is 'name' or 'offset'", "INVALID_ARGUMENT", "BAD_REQUEST")
        call = self._call(timeout, version)
        return self._native.list_tensors(self._model(model), pattern, list(dtypes), order == "offset", call)

    def get_metadata(
        self,
        *,
        model: str | None = None,
        keys: Sequence[str] = (),
        max_value_bytes: int = 64 << 10,
        version: str | None = None,
        timeout: float | None = None,
    ) -> ModelInfo:
        """A model with its files, their `__metadata__` (values longer than `max_value_bytes` are cut) and side files."""
        call = self._call(timeout, version)
        return self._native.get_metadata(self._model(model), list(keys), max_value_bytes, call)

    def get_tensor_info(
        self, tensor: str, *, model: str | None = None, version: str | None = None, timeout: float | None = None
    ) -> TensorInfo:
        """Dtype, shape and place of one tensor."""
        return self._native.get_tensor_info(self._model(model), tensor, self._call(timeout, version))

    def plan(
        self,
        patterns: str | Iterable[str],
        index: Any = None,
        *,
        model: str | None = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> list[PlannedRead]:
        """What globs stand for, with the size of each result when `index` is applied to each match."""
        native = parse_index(index).native if index is not None else None
        wanted = [patterns] if isinstance(patterns, str) else list(patterns)
        selections = [("", pattern, native) for pattern in wanted]
        return self._native.plan(self._model(model), selections, self._call(timeout, version))

    # Data.

    def get_tensor(
        self,
        tensor: str,
        index: Any = None,
        *,
        model: str | None = None,
        framework: str = "np",
        device: str | int = "cpu",
        version: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """A tensor, or what `index` selects of it, in memory of its own: a numpy array unless `framework` says otherwise.

        Only the selected bytes travel. `index` is numpy's basic index (integers, slices with steps, `...`, None), one list
        of positions, or Shard; None is all of it.
        """
        convert = converter(framework, device)
        name = self._model(model)
        parsed = WHOLE if index is None else self._parsed(tensor, index, name, version, timeout)
        return self._get(name, tensor, parsed, convert, version, timeout)

    def read_many(
        self,
        requests: Mapping[str, Any] | Iterable[Read],
        *,
        model: str | None = None,
        framework: str = "np",
        device: str | int = "cpu",
        progress: Progress = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Reads many tensors and slices, all of one version of the model, in as few streams as possible, one copy each.

        Args:
            requests: `{name: what}`, where `what` is None for the whole tensor, an index, or memory to read it into; or
                Read(name, index, out) for more than one thing of a tensor, or index and memory together.
            progress: True for a progress bar (needs tqdm), or a function called with (bytes, size_bytes) so far, from
                the thread that reads.

        Returns:
            What was read, `out` where it was given: a dict by name for a mapping, else a list in order.

        Raises:
            The first failure, if any; nothing that was read counts then. BadRequestError, a ValueError, before anything
            is read, where memory does not fit its result.
        """
        mapped = requests if isinstance(requests, Mapping) else None
        reads: list[Read] = [self._as_read(n, w) for n, w in mapped.items()] if mapped is not None else [*requests]
        name = self._model(model)
        pinned = version or self._version_of(name, timeout)
        arrays = self._read_all(name, reads, converter(framework, device), progress, pinned, timeout)
        return dict(zip(mapped, arrays, strict=True)) if mapped is not None else arrays

    def iterate(
        self,
        patterns: str | Iterable[str] = "*",
        *,
        index: Any = None,
        shard: tuple[int, int, int] | tuple[int, Shard] | None = None,
        model: str | None = None,
        framework: str = "np",
        device: str | int = "cpu",
        window_bytes: int = DEFAULT_WINDOW_BYTES,
        progress: Progress = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Yields (name, tensor) for every match of the globs, all of one version of the model.

        One stream brings `window_bytes` of tensors, or one tensor that is larger, while the window before is handed out;
        what is yielded has been confirmed by the end of its stream.

        Args:
            index: Applied to each match, as for get_tensor.
            shard: (dim, rank, world), or (dim, Shard(...)): each rank's part of that dimension; tensors of fewer dimensions
                come whole.
            timeout: Seconds for each stream.
        """
        name = self._model(model)
        pinned = version or self._version_of(name, timeout)
        plan = self._expand(name, patterns, index, shard, pinned, timeout)
        return self._windows(name, plan, converter(framework, device), window_bytes, progress, pinned, timeout)

    def load(
        self,
        patterns: str | Iterable[str] = "*",
        *,
        shard: tuple[int, int, int] | tuple[int, Shard] | None = None,
        model: str | None = None,
        framework: str = "np",
        device: str | int = "cpu",
        progress: Progress = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Every match of the globs, or this rank's `shard` (see iterate) of it, by name."""
        name = self._model(model)
        pinned = version or self._version_of(name, timeout)
        plan = self._expand(name, patterns, None, shard, pinned, timeout)
        arrays = self._fill(name, plan, converter(framework, device), progress, pinned, timeout)
        return {planned.tensor: array for (planned, _), array in zip(plan, arrays, strict=True)}

    # Files.

    def read_file(
        self,
        file: str,
        *,
        model: str | None = None,
        offset: int = 0,
        length: int | None = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """The original bytes, or a range of them, of a model's file or side file, e.g. "config.json"."""
        call = self._call(timeout, version)
        content, _ = self._native.read_file(self._model(model), file, offset, length, call)
        return content

    def download(
        self,
        file: str,
        path: str | os.PathLike[str],
        *,
        model: str | None = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> FileDescription:
        """Writes a model's file or side file to `path`, which appears only when it is complete."""
        partial = f"{os.fspath(path)}.{os.getpid()}.partial"
        try:
            with open(partial, "wb") as target:
                call = self._call(timeout, version)
                description = self._native.copy_file(self._model(model), file, target.fileno(), call)
            os.replace(partial, path)
        except BaseException:
            if os.path.exists(partial):
                os.unlink(partial)
            raise
        return FileDescription(*description)

    # How it is done.

    def _call(self, timeout: float | None, version: str | None) -> Call:
        return Call(self._timeout if timeout is None else timeout, version or "", False)

    def _model(self, model: str | None) -> str:
        name = model or self.model
        if not name:
            raise BadRequestError("no model: give model=, or a URL that names one", "INVALID_ARGUMENT", "BAD_REQUEST")
        return name

    def _version_of(self, model: str, timeout: float | None) -> str:
        """Of now. Asks for no metadata, as far as that can be asked for."""
        return self._native.get_metadata(model, ["tensord"], 1, self._call(timeout, None)).version

    def _count(self, call: Call) -> None:
        with self._received_lock:
            self._received += call.bytes_received

    def _parsed(self, tensor: str, index: Any, model: str, version: str | None, timeout: float | None) -> ParsedIndex:
        """Asks for the tensor's shape where the index cannot be read without."""
        items = index if isinstance(index, tuple) else (index,)
        simple = all(isinstance(item, int | slice) or item is Ellipsis for item in items)
        if simple:
            return parse_index(index)
        info = self._native.get_tensor_info(model, tensor, self._call(timeout, version))
        return parse_index(index, info.shape)

    def _get(
        self,
        model: str,
        tensor: str,
        parsed: ParsedIndex,
        convert: Callable[..., Any],
        version: str | None,
        timeout: float | None,
    ) -> Any:
        call = self._call(timeout, version)
        dtype, shape, data, _ = self._native.get_slice(model, tensor, parsed.native, call)
        self._count(call)
        return convert(data, dtype, parsed.shape(shape))

    @staticmethod
    def _as_read(name: str, what: Any) -> Read:
        return Read(name, None, what) if is_destination(what) else Read(name, what)

    def _read_all(
        self,
        model: str,
        reads: list[Read],
        convert: Callable[..., Any],
        progress: Progress,
        version: str,
        timeout: float | None,
    ) -> list[Any]:
        indices = [WHOLE if r.index is None else self._parsed(r.tensor, r.index, model, version, timeout) for r in reads]
        selections = [(r.tensor, "", index.native) for r, index in zip(reads, indices, strict=True)]
        plan = self._native.plan(model, selections, self._call(timeout, version)) if selections else []
        wanted = [_Wanted(p.tensor, i, r.out) for p, i, r in zip(plan, indices, reads, strict=True)]
        return self._fill(model, list(zip(plan, wanted, strict=True)), convert, progress, version, timeout)

    def _fill(
        self,
        model: str,
        reads: list[tuple[PlannedRead, _Wanted]],
        convert: Callable[..., Any],
        progress: Progress,
        version: str,
        timeout: float | None,
    ) -> list[Any]:
        """Reads all into memory of their own or the caller's."""
        requests, memories = [], []
        for planned, wanted in reads:
            memory = Buffer(planned.size_bytes) if wanted.out is None else wanted.out
            if wanted.out is not None:
                check_destination(wanted.out, planned, wanted.cut.shape(planned.shape))
            memories.append(memory)
            native = memory if wanted.out is None else native_memory(memory, wanted.cut)
            requests.append((planned.tensor, wanted.cut.native, native))
        call = self._call(timeout, version)
        total = sum(planned.size_bytes for planned, _ in reads)
        with progress_callback(progress, total) as callback:
            failures = self._native.read_many(model, requests, callback, call)[2] if requests else []
        self._count(call)
        if failures:
            raise failures[0][1]
        return [
            convert(memory, planned.dtype, wanted.cut.shape(planned.shape)) if wanted.out is None else wanted.out
            for memory, (planned, wanted) in zip(memories, reads, strict=True)
        ]

    def _expand(
        self,
        model: str,
        patterns: str | Iterable[str],
        index: Any,
        shard: tuple[int, int, int] | tuple[int, Shard] | None,
        version: str,
        timeout: float | None,
    ) -> list[tuple[PlannedRead, _Wanted]]:
        """Every match once, in order of the patterns, with what is to be read of it."""
        if shard is not None and index is not None:
            raise BadRequestError("give index or shard, not both: an index may hold a Shard", "INVALID_ARGUMENT")
        wanted = [patterns] if isinstance(patterns, str) else list(patterns)
        selections = [("", pattern, None) for pattern in wanted]
        found = self._native.plan(model, selections, self._call(timeout, version)) if wanted else []
        unique = list({planned.tensor: planned for planned in found}.values())
        if shard is None and index is None:
            return [(planned, _Wanted(planned.tensor, WHOLE)) for planned in unique]
        cut = [_index_of(planned, index, shard) for planned in unique]
        sliced = [(p.tensor, "", i.native) for p, i in zip(unique, cut, strict=True)]
        plan = self._native.plan(model, sliced, self._call(timeout, version)) if sliced else []
        return [(planned, _Wanted(planned.tensor, i)) for planned, i in zip(plan, cut, strict=True)]

    def _windows(
        self,
        model: str,
        plan: list[tuple[PlannedRead, _Wanted]],
        convert: Callable[..., Any],
        window_bytes: int,
        progress: Progress,
        version: str,
        timeout: float | None,
    ) -> Iterator[tuple[str, Any]]:
        windows = _cut_windows(plan, window_bytes)
        total, before = sum(p.size_bytes for p, _ in plan), 0
        with progress_callback(progress, total) as report, ThreadPoolExecutor(1, "tensord-window") as reader:

            def start(window: list[tuple[PlannedRead, _Wanted]], done: int) -> Future[list[Any]]:
                shifted = None if report is None else (lambda size, *_: report(done + size))
                return reader.submit(self._fill, model, window, convert, shifted, version, timeout)

            pending = start(windows[0], 0) if windows else None
            for number, window in enumerate(windows):
                assert pending is not None
                arrays = pending.result()
                before += sum(planned.size_bytes for planned, _ in window)
                more = number + 1 < len(windows)
                pending = start(windows[number + 1], before) if more else None
                for (planned, _), array in zip(window, arrays, strict=True):
                    yield planned.tensor, array


class _Wanted(NamedTuple):
    tensor: str
    cut: ParsedIndex
    out: Any = None


def _index_of(planned: PlannedRead, index: Any, shard: tuple[int, int, int] | tuple[int, Shard] | None) -> ParsedIndex:
    if shard is None:
        return parse_index(index, planned.shape)
    dim = shard[0]
    part = shard[1] if isinstance(shard[1], Shard) else Shard(shard[1], shard[2])
    rank = len(planned.shape)
    at = dim + rank if dim < 0 else dim
    if not 0 <= at < rank:
        return WHOLE
    return parse_index((*[slice(None)] * at, part), planned.shape)


def _cut_windows(plan: list[tuple[PlannedRead, _Wanted]], window_bytes: int) -> list[list[tuple[PlannedRead, _Wanted]]]:
    windows: list[list[tuple[PlannedRead, _Wanted]]] = []
    room = 0
    for read in plan:
        if not windows or read[0].size_bytes > room:
            windows.append([])
            room = window_bytes
        windows[-1].append(read)
        room -= read[0].size_bytes
    return windows
