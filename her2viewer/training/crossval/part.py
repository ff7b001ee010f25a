"""Some of the samples of a store, as a store of its own."""

from __future__ import annotations

import os
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from her2viewer.training.tiles import Table, TileStore


class PartOfStore(TileStore):
    """Picked samples of another store. The pixels of the first part are read into memory; parts of it share them."""

    def __init__(self, whole: TileStore, picked: NDArray[np.int64]) -> None:
        """``picked``: (m,) indices of ``whole``; samples without masks only."""
        self.tiles, self.side, self.masked = whole.tiles, whole.side, False
        self.background, self.vectors = whole.background, whole.vectors
        self.table = Table(*(getattr(whole.table, f.name)[picked] for f in fields(Table)))
        self.starts = np.array([0, len(picked)], np.int64)
        self._files, self._process = {}, os.getpid()
        self._pool: NDArray[np.uint8]
        self._at: NDArray[np.int64]
        if isinstance(whole, PartOfStore):
            self._pool, self._at = whole._pool, whole._at[picked]
        else:
            self._pool, self._at = whole.pixels(picked), np.arange(len(picked))
        whole.close()

    @property
    def reads_files(self) -> bool:
        """As ``TileStore``."""
        return False

    def pixels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """As ``TileStore``."""
        return np.asarray(self._pool[self._at[indices]])
