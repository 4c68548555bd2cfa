"""The same for asyncio: `async with aio.Client(url) as client: await client.get_tensor(name)`.

Calls run on threads of the client, at most `max_calls` at once; further ones wait for their turn. Cancelling a task cancels
its call on the server too.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from . import _client, _open
from ._calls import CancellableCalls
from ._client import FileDescription
from ._core import ModelInfo, PlannedRead, TensorInfo, TensorList
from ._source import Read

_T = TypeVar("_T")

DEFAULT_MAX_CALLS = 4


class Client:
    """tensord.Client with coroutines; arguments, results and errors are the same. For one event loop."""

    def __init__(
        self, target: str | os.PathLike[str] | None = None, *, max_calls: int = DEFAULT_MAX_CALLS, **options: Any
    ) -> None:
        self._client = _client.Client(target, **options)
        self._threads = ThreadPoolExecutor(max_calls, "tensord-aio")

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for calls that run, then ends the connection."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        self._client.close()

    @property
    def bytes_received(self) -> int:
        """See tensord.Client."""
        return self._client.bytes_received

    async def list_models(self, filter: str = "", **options: Any) -> list[ModelInfo]:
        """See tensord.Client.list_models."""
        return await self._run(lambda c: c.list_models(filter, **options))

    async def list_tensors(self, pattern: str = "", **options: Any) -> TensorList:
        """See tensord.Client.list_tensors."""
        return await self._run(lambda c: c.list_tensors(pattern, **options))

    async def get_metadata(self, **options: Any) -> ModelInfo:
        """See tensord.Client.get_metadata."""
        return await self._run(lambda c: c.get_metadata(**options))

    async def get_tensor_info(self, tensor: str, **options: Any) -> TensorInfo:
        """See tensord.Client.get_tensor_info."""
        return await self._run(lambda c: c.get_tensor_info(tensor, **options))

    async def plan(self, patterns: str | Iterable[str], index: Any = None, **options: Any) -> list[PlannedRead]:
        """See tensord.Client.plan."""
        return await self._run(lambda c: c.plan(patterns, index, **options))

    async def get_tensor(self, tensor: str, index: Any = None, **options: Any) -> Any:
        """See tensord.Client.get_tensor."""
        return await self._run(lambda c: c.get_tensor(tensor, index, **options))

    async def read_many(self, requests: Mapping[str, Any] | Iterable[Read], **options: Any) -> Any:
        """See tensord.Client.read_many. `progress` is called from another thread."""
        return await self._run(lambda c: c.read_many(requests, **options))

    async def load(self, patterns: str | Iterable[str] = "*", **options: Any) -> dict[str, Any]:
        """See tensord.Client.load."""
        return await self._run(lambda c: c.load(patterns, **options))

    async def read_file(self, file: str, **options: Any) -> bytes:
        """See tensord.Client.read_file."""
        return await self._run(lambda c: c.read_file(file, **options))

    async def download(self, file: str, path: str | os.PathLike[str], **options: Any) -> FileDescription:
        """See tensord.Client.download."""
        return await self._run(lambda c: c.download(file, path, **options))

    async def iterate(self, patterns: str | Iterable[str] = "*", **options: Any) -> AsyncIterator[tuple[str, Any]]:
        """See tensord.Client.iterate."""
        # One for the whole iteration: a window outlives the step that began it.
        client, calls = self._client._cancellable()
        try:
            found = await self._await(lambda: client.iterate(patterns, **options), calls)
            while (item := await self._await(lambda: next(found, None), calls)) is not None:
                yield item
        finally:
            calls.cancel()

    async def _run(self, work: Callable[[_client.Client], _T]) -> _T:
        client, calls = self._client._cancellable()
        return await self._await(lambda: work(client), calls)

    async def _await(self, work: Callable[[], _T], calls: CancellableCalls) -> _T:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            calls.cancel()
            # The memory that it writes to is the caller's again only when it has ended.
            await asyncio.wait([future])
            future.exception()
            raise


async def load_file(filename: str | os.PathLike[str], device: str | int = "cpu", **options: Any) -> dict[str, Any]:
    """tensord.load_file, awaited."""
    work = functools.partial(_open.load_file, filename, device, **options)
    return await asyncio.get_running_loop().run_in_executor(None, work)
