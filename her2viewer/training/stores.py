"""The samples of a data set by split, within a share of the machine's memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from her2viewer.training.dataset import SPLITS, SplitName
from her2viewer.training.recipe import Recipe
from her2viewer.training.tiles import SlideTiles, TileStore

MEMORY_SHARE = 0.25
"""Part of the machine's memory that the samples may take."""


def stores_of(recipe: Recipe, tiles: list[SlideTiles]) -> dict[SplitName, TileStore]:
    """One store a split; those that do not fit into memory read their files as they go."""
    memory = int(MEMORY_SHARE * _memory())
    stores: dict[SplitName, TileStore] = {}
    for split in SPLITS:
        stores[split] = TileStore([t for t in tiles if t.entry.split == split], recipe, memory)
        memory -= 0 if stores[split].reads_files else stores[split].bytes
    return stores


def table_of(store: TileStore) -> Mapping[str, NDArray[Any]]:
    """Columns by name, as ``recipe.Outputs.table`` gives them."""
    table = store.table
    return {"label": table.label, "slide": table.slide, "weight": table.weight, "score": table.score}


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 << 30
