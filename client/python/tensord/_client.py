"""The client: everything that a server tells and sends, in bulk and one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from . import _core
from ._address import parse_target
from ._calls import Calls, CancellableCalls
from ._core import ModelInfo, PlannedRead, TensorInfo, TensorList
from ._credentials import credentials
from ._destinations import is_destination
from ._errors import BadRequestError
from ._frameworks import Convert, converter
from ._index import WHOLE, parse_index
from ._progress import Progress
from ._source import Read, ShardOfModel, Source


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
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Touches no network: the first call connects. Files of TLS are read here.

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
            tls_ca: PEM file with the authorities of which one has signed the server's certificate: TLS on TCP addresses.
                None: what TENSORD_TLS_CA says; "" or nothing there: no TLS. Unix sockets have none in any case.
            tls_cert: PEM file with this client's own certificate, for servers that ask for one; None: TENSORD_TLS_CERT.
            tls_key: PEM file with its key; None: TENSORD_TLS_KEY.
            token: The bearer token that goes with every call.
            token_file: File that holds it, read again while the client lives; None: TENSORD_TOKEN_FILE.

        Raises:
            BadRequestError, a ValueError, where address or options make no sense, a file of TLS cannot be read, or a token
            would travel in the clear: it does over TLS and Unix sockets only.
        """
        location = parse_target(target)
        self.address: str = location.address
        self.model: str = location.model
        self._calls = Calls(timeout)
        options = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "chunk_bytes": chunk_bytes,
            "checksum": checksum,
            "retry": retry,
            "first_backoff": first_backoff,
            "last_backoff": last_backoff,
            "max_resumes_without_progress": max_resumes_without_progress,
            "connections": connections,
        }
        secrets = credentials(tls_ca, tls_cert, tls_key, token, token_file)
        self._native = _core.Client(location.address, {**options, **secrets})

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
        return self._calls.bytes_received

    # What is there.

    def list_models(self, filter: str = "", *, timeout: float | None = None) -> list[ModelInfo]:
        """All models whose id matches the glob; "": all."""
        return self._native.list_models(filter, self._calls.new(timeout, None))

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
        call = self._calls.new(timeout, version)
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
        call = self._calls.new(timeout, version)
        return self._native.get_metadata(self._model(model), list(keys), max_value_bytes, call)

    def get_tensor_info(
        self, tensor: str, *, model: str | None = None, version: str | None = None, timeout: float | None = None
    ) -> TensorInfo:
        """Dtype, shape and place of one tensor."""
        return self._native.get_tensor_info(self._model(model), tensor, self._calls.new(timeout, version))

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
        return self._native.plan(self._model(model), selections, self._calls.new(timeout, version))

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
        source = self._source(model, converter(framework, device), version, timeout)
        return source.get(tensor, WHOLE if index is None else source.cut(tensor, index))

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
        reads: list[Read] = [_as_read(n, w) for n, w in mapped.items()] if mapped is not None else [*requests]
        source = self._source(model, converter(framework, device), version, timeout).pinned()
        arrays = source.fill(source.plan(reads), progress)
        return dict(zip(mapped, arrays, strict=True)) if mapped is not None else arrays

    def iterate(
        self,
        patterns: str | Iterable[str] = "*",
        *,
        index: Any = None,
        shard: ShardOfModel = None,
        model: str | None = None,
        framework: str = "np",
        device: str | int = "cpu",
        window_bytes: int = 64 << 20,
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
        source = self._source(model, converter(framework, device), version, timeout).pinned()
        from ._windows import iterate  # With concurrent.futures, which takes longer to import than all of this package.

        return iterate(source, source.expand(patterns, index, shard), window_bytes, progress)

    def load(
        self,
        patterns: str | Iterable[str] = "*",
        *,
        shard: ShardOfModel = None,
        model: str | None = None,
        framework: str = "np",
        device: str | int = "cpu",
        progress: Progress = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Every match of the globs, or this rank's `shard` (see iterate) of it, by name."""
        source = self._source(model, converter(framework, device), version, timeout).pinned()
        return source.load(patterns, shard, progress)

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
        call = self._calls.new(timeout, version)
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
                call = self._calls.new(timeout, version)
                description = self._native.copy_file(self._model(model), file, target.fileno(), call)
            os.replace(partial, path)
        except BaseException:
            if os.path.exists(partial):
                os.unlink(partial)
            raise
        return FileDescription(*description)

    # For the other modules of this package.

    def _model(self, model: str | None) -> str:
        name = model or self.model
        if not name:
            raise BadRequestError("no model: give model=, or a URL that names one", "INVALID_ARGUMENT", "BAD_REQUEST")
        return name

    def _source(
        self, model: str | None, convert: Convert, version: str | None = None, timeout: float | None = None
    ) -> Source:
        return Source(self._native, self._calls, self._model(model), version, timeout, convert)

    def _cancellable(self) -> tuple[Client, CancellableCalls]:
        """A twin on the same connection, and what ends its calls."""
        twin, calls = object.__new__(Client), self._calls.cancellable()
        twin.__dict__.update({**self.__dict__, "_calls": calls})
        return twin, calls


def _as_read(name: str, what: Any) -> Read:
    return Read(name, None, what) if is_destination(what) else Read(name, what)
