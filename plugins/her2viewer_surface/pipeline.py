"""Reading, segmenting and classing at the same time, a few blocks ahead of one another, so that memory is bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Runtime, wait
from her2viewer_surface.blocks import Picture
from her2viewer_surface.plan import Block, Place
from her2viewer_surface.reading import Pixels, Reader
from her2viewer_surface.segmentation import Segmentation

AHEAD = 3
"""Blocks under way at a time: one is classed, one segmented, one read."""

Read = tuple[Picture, list[Pixels | None]]
Tumour = tuple[NDArray[np.float32], NDArray[np.bool_]]


def segmented(
    blocks: list[Block], reader: Reader, segmentation: Segmentation, runtime: Runtime
) -> Iterator[tuple[Block, Picture, Tumour]]:
    """Each block in order with its pixels and its tumour, as ``Segmentation.probability`` gives it.

    One thread reads, one segments; the caller classes meanwhile.

    Raises:
        Cancelled: from ``runtime.check()``.
        ScorerError: the network cannot go on.
        SlideError: the slide is gone.
    """
    readers = ThreadPoolExecutor(1, thread_name_prefix="surface-reader")
    segmenters = ThreadPoolExecutor(1, thread_name_prefix="surface-segmenter")
    waiting: deque[tuple[Block, Future[tuple[Picture, Tumour]]]] = deque()

    def segment(block: Block, places: list[Place], read: Future[Read]) -> tuple[Picture, Tumour]:
        picture, windows = read.result()
        segmentation.add(places, windows)
        return picture, segmentation.probability(block)

    try:
        rest = iter(blocks)
        while True:
            while len(waiting) < AHEAD and (block := next(rest, None)) is not None:
                places = segmentation.claim(block)
                read = readers.submit(reader.read, block, places, runtime)
                waiting.append((block, segmenters.submit(segment, block, places, read)))
            if not waiting:
                return
            block, future = waiting.popleft()
            yield (block, *wait(future, runtime.check))
    finally:
        # On cancel, what has not begun never begins; what runs ends within a fraction of a second.
        for pool in (readers, segmenters):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (readers, segmenters):
            pool.shutdown(wait=True)
