"""How much memory the tiles of a canvas may take."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MOST_BYTES = 1 << 30
LEAST_BYTES = 128 << 20
"""Two views of 4K and what was decoded for them: below this the canvas would decode the same tiles all the time."""
SHARE_OF_MEMORY = 10
SHARE_COUNTED = 0.65
"""Of the whole; the rest is for what lies between the pictures in their memory, see ``slides.pixel_memory``."""
SHARE_DECODED = 3
"""One part in three goes to decoded blocks, the rest to tiles at the size of the screen."""


@dataclass(frozen=True)
class Budget:
    """Bounds of the caches of one canvas, bytes."""

    screen: int
    """Tiles at the size of the screen."""
    decoded: int
    """Blocks as the file has them."""

    @classmethod
    def of(cls, total: int) -> Budget:
        """Divide ``total`` bytes."""
        decoded = total // SHARE_DECODED
        return cls(total - decoded, decoded)


@cache
def default_budget() -> Budget:
    """A tenth of the machine's memory, 1 GiB at most."""
    memory = installed_memory()
    total = MOST_BYTES if memory is None else min(MOST_BYTES, memory // SHARE_OF_MEMORY)
    return Budget.of(round(SHARE_COUNTED * max(LEAST_BYTES, total)))


def installed_memory() -> int | None:
    """Bytes of memory of the machine, or of the container that this process runs in; None where unknown."""
    found: list[int] = []
    if sys.platform == "win32":
        return _windows_memory()
    with suppress(ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    # "max" where there is no limit.
    with suppress(ValueError, OSError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min((value for value in found if value > 0), default=None)


def _windows_memory() -> int | None:
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    library = getattr(ctypes, "windll", None)
    if library is None or not library.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return None
    return 1024 * kilobytes.value
