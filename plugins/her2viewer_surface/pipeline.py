"""Reading, segmenting and classing at the same time, a few blocks ahead of one another, so that memory is bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from her2viewer.api import Runtime, wait
from her2viewer_surface.blocks import Picture
from her2viewer_surface.plan import Block, Place
from her2viewer_surface.reading import Pixels, Reader
from her2viewer_surface.segmentation import Segmentation

AHEAD = 3
"""Groups of blocks under way at a time: one is classed, one segmented, one read."""
GROUP = 4
"""Blocks whose windows are computed together, so that no core waits at the end of each; the very first goes alone."""

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
    waiting: deque[tuple[list[Block], Future[list[tuple[Picture, Tumour]]]]] = deque()

    def segment(
        group: list[Block], places: list[list[Place]], reads: list[Future[Read]]
    ) -> list[tuple[Picture, Tumour]]:
        read = [future.result() for future in reads]
        segmentation.add([at for own in places for at in own], [window for _, own in read for window in own])
        return [(picture, segmentation.probability(block)) for block, (picture, _) in zip(group, read, strict=True)]

    try:
        rest, size = iter(blocks), 1
        while True:
            while len(waiting) < AHEAD and (group := list(islice(rest, size))):
                places = [segmentation.claim(block) for block in group]
                reads = [readers.submit(reader.read, *wanted, runtime) for wanted in zip(group, places, strict=True)]
                waiting.append((group, segmenters.submit(segment, group, places, reads)))
                size = GROUP
            if not waiting:
                return
            group, future = waiting.popleft()
            done: list[tuple[Picture, Tumour]] = wait(future, runtime.check)
            for block, found in zip(group, done, strict=True):
                yield (block, *found)
    finally:
        # On cancel, what has not begun never begins; what runs ends within a fraction of a second.
        for pool in (readers, segmenters):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (readers, segmenters):
            pool.shutdown(wait=True)
