"""Reading ahead: one part of a plan while the part before is handed out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ._progress import Progress, progress_callback
from ._source import Planned, Source


def iterate(source: Source, plan: list[Planned], window_bytes: int, progress: Progress) -> Iterator[tuple[str, Any]]:
    """Yields (name, tensor) in the plan's order. Left early, it ends the call that reads ahead."""
    windows = cut_windows(plan, window_bytes)
    total, before = sum(planned.info.size_bytes for planned in plan), 0
    calls = source.calls.cancellable()
    reading = replace(source, calls=calls)
    with progress_callback(progress, total) as report, ThreadPoolExecutor(1, "tensord-window") as reader:

        def start(window: list[Planned], done: int) -> Future[list[Any]]:
            shifted = None if report is None else (lambda size, *_: report(done + size))
            return reader.submit(reading.fill, window, shifted)

        try:
            pending = start(windows[0], 0) if windows else None
            for number, window in enumerate(windows):
                assert pending is not None
                arrays = pending.result()
                before += sum(planned.info.size_bytes for planned in window)
                more = number + 1 < len(windows)
                pending = start(windows[number + 1], before) if more else None
                names = [planned.info.tensor for planned in window]
                yield from zip(names, arrays, strict=True)
        finally:
            calls.cancel()


def cut_windows(plan: list[Planned], window_bytes: int) -> list[list[Planned]]:
    """Parts of at most so many bytes, or of one tensor that is larger."""
    windows: list[list[Planned]] = []
    room = 0
    for planned in plan:
        if not windows or planned.info.size_bytes > room:
            windows.append([])
            room = window_bytes
        windows[-1].append(planned)
        room -= planned.info.size_bytes
    return windows
