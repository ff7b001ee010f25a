"""Work on tiles in threads, handed over in order, a few ahead, with an eye on cancel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from her2viewer.scoring.contract import Runtime
from her2viewer.slides.slide import TileError

CHECK_S = 0.1
"""Longest time between two looks at whether the reader has cancelled, while threads work."""

Item = TypeVar("Item")
T = TypeVar("T")


def in_order(
    items: Iterable[Item], work: Callable[[Item], T], pool: ThreadPoolExecutor, runtime: Runtime
) -> Iterator[tuple[Item, T | None]]:
    """Each item with its result, in order; None for one that cannot be read. A few ahead, to bound memory.

    Raises:
        Cancelled: from ``runtime.check()``.
    """
    ahead = max(1, runtime.threads) + 1
    waiting: deque[tuple[Item, Future[T]]] = deque()
    rest = iter(items)
    while True:
        while len(waiting) < ahead and (item := next(rest, None)) is not None:
            waiting.append((item, pool.submit(work, item)))
        if not waiting:
            return
        item, future = waiting.popleft()
        try:
            yield item, wait(future, runtime.check)
        except TileError:
            yield item, None


def wait(future: Future[T], check: Callable[[], None]) -> T:
    """The result of a future, looking every ``CHECK_S`` whether the reader has cancelled."""
    while True:
        check()
        try:
            return future.result(timeout=CHECK_S)
        except NotYet:
            # A result may itself be a TimeoutError from a network share.
            if future.done():
                raise
