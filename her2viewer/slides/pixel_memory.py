"""Memory for pixels that are kept: many pictures side by side in one slab of huge pages.

The first touch of a page of 4 KiB costs the system up to 5 us, in a virtual machine most of all: more than decoding
what is written there, and two threads that touch fresh pages at once hold each other up: two decoders that wrote to
such memory got less done than one. So a few slabs are touched ahead, when nothing else is to be done.

A slab is asked for in pages of 2 MiB where the system has them. It is free when the last of its pictures is gone
(caches drop what was made at one time at about one time); a few free ones wait to be used again.
"""

from __future__ import annotations

import math
import mmap
import threading
import weakref
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLAB = 4 << 20
"""Bytes."""
SPARE = 8
"""So many free slabs are not given back to the system: memory in use is several times as quick as fresh memory.
What is decoded in a jump by a view of 1080p finds room in them.
"""
TOUCH = 4096
"""Bytes from one place to the next in order to touch all pages, small ones too."""
LINE = 64
"""Pictures begin on such a boundary, bytes: that of the processor's cache."""


class PixelMemory:
    """Gives out uninitialised arrays. Safe from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slab: NDArray[np.uint8] | None = None
        self._at = 0
        # Of a deque each step is atomic: what is dropped comes back wherever it is dropped, even within ``empty``.
        self._spare: deque[Any] = deque(maxlen=SPARE)
        self._used: set[int] = set()

    @property
    def held(self) -> int:
        """Bytes of all slabs, spare ones included."""
        return SLAB * (len(self._used) + len(self._spare))

    def empty(self, *shape: int) -> NDArray[np.uint8]:
        """An array of that shape, uint8, with anything in it."""
        size = math.prod(shape)
        if size > SLAB // 4:
            # Few would share a slab; numpy asks for huge pages itself where an array is large enough for them.
            return np.empty(shape, dtype=np.uint8)
        with self._lock:
            if self._slab is None or self._at + size > SLAB:
                self._slab, self._at = self._another(), 0
            begin, self._at = self._at, -(-(self._at + size) // LINE) * LINE
            return self._slab[begin : begin + size].reshape(shape)

    def prepare(self, slabs: int) -> bool:
        """Have one more slab ready, 1 to 4 ms in which other threads run; False where there are ``slabs`` already."""
        if len(self._spare) >= min(slabs, SPARE):
            return False
        memory = _slab()
        np.frombuffer(memory, dtype=np.uint8)[::TOUCH] = 0
        self._spare.append(memory)
        return True

    def _another(self) -> NDArray[np.uint8]:
        # The present one may go meanwhile, and is the best to go on with.
        self._slab = None
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = _slab()
        # The arrays that are cut from it keep this one alive.
        slab = np.frombuffer(memory, dtype=np.uint8)
        self._used.add(id(memory))
        weakref.finalize(slab, self._gone, memory).atexit = False
        return slab

    def _gone(self, memory: Any) -> None:
        self._used.discard(id(memory))
        self._spare.append(memory)


def _slab() -> Any:
    """A buffer of ``SLAB`` bytes."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(SLAB, dtype=np.uint8)
    memory = mmap.mmap(-1, SLAB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # A kernel without huge pages says so; small ones do as well.
    with suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


decoded = PixelMemory()
"""For tiles as files have them."""
