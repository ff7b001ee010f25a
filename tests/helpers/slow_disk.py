"""A disk that takes its time, loses its handle, or gives back less than was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from her2viewer.slides.tiff_pages import SharedFile


class Disk:
    """Stands between the readers and the real file; reads go through to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
        self.seconds = seconds
        """What each read takes."""
        self.trouble: Callable[[int], OSError | None] = lambda offset: None
        """What a read at that offset raises instead."""
        self.reads = 0
        self.threads: set[int] = set()
        self._lock = threading.Lock()
        disk, real = self, SharedFile._read

        def read(file: SharedFile, handle: object, offset: int, size: int) -> bytes:
            with disk._lock:
                disk.reads += 1
                disk.threads.add(threading.get_ident())
            time.sleep(disk.seconds)
            error = disk.trouble(offset)
            if error is not None:
                raise error
            return real(file, handle, offset, size)  # type: ignore[arg-type]

        monkeypatch.setattr(SharedFile, "_read", read)
