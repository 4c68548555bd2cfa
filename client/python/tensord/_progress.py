"""How far a read has come, shown or told."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from ._errors import TensordError

# None or False: nothing. True: a bar. A function: called with (bytes, size_bytes) so far.
Progress: TypeAlias = "Callable[..., object] | bool | None"


@contextlib.contextmanager
def progress_callback(progress: Progress, size_bytes: int) -> Iterator[Callable[..., Any] | None]:
    """A function for the C++ library, which calls it with (bytes, requests, num_requests)."""
    if not progress:
        yield None
    elif callable(progress):
        tell = progress
        yield lambda done, *_: tell(done, size_bytes)
    else:
        if importlib.util.find_spec("tqdm") is None:
            raise TensordError("progress=True needs tqdm: pip install tqdm, or give a function", "UNIMPLEMENTED")
        bar = importlib.import_module("tqdm.auto").tqdm(total=size_bytes, unit="B", unit_scale=True, unit_divisor=1024)
        with bar:
            yield lambda done, *_: bar.update(done - bar.n)
