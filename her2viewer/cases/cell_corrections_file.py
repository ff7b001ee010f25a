"""The file of a case that holds the reader's corrections of cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer.cases.atomic import atomic_text
from her2viewer.cases.versioned import read_versioned
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, REMOVED, CellCorrections, SaidClass

FORMAT = "her2viewer cell corrections"
VERSION = 1
FILE = "cells.json"


def read_cell_corrections(path: Path) -> CellCorrections:
    """The corrections in a file; none where there is no file.

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    data = read_versioned(path, FORMAT, VERSION, "The list of corrected cells")
    if data is None:
        return NO_CELL_CORRECTIONS
    try:
        classes = tuple(SaidClass(str(c["name"]), int(c["her2"])) for c in data["classes"])
        cells = np.array(data["cells"], dtype=np.float64).reshape(-1, 3)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its list of cells is damaged ({error})") from error
    said = cells[:, 2].astype(np.int16)
    known = (said >= REMOVED) & (said < len(classes)) & (said == cells[:, 2])
    if not (np.isfinite(cells).all() and known.all() and all(-1 <= c.her2 <= 3 for c in classes)):
        raise ValueError("it names a class that it does not list")
    corrections = CellCorrections(cells[:, 0].astype(np.float32), cells[:, 1].astype(np.float32), said, classes)
    if len(np.unique(corrections.places)) < len(corrections):
        raise ValueError("it speaks of a cell twice")
    return corrections


def write_cell_corrections(path: Path, corrections: CellCorrections) -> None:
    """Write the corrections, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    data = {"format": FORMAT, "version": VERSION, **cell_corrections_json(corrections)}
    atomic_text(path, json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")


def cell_corrections_json(corrections: CellCorrections) -> dict[str, Any]:
    """Classes, and of each corrected cell x, y (level-0 px) and the number of its class, -1 where it was removed."""
    places = zip(corrections.x.tolist(), corrections.y.tolist(), corrections.said.tolist(), strict=True)
    return {
        "classes": [{"name": c.name, "her2": c.her2} for c in corrections.classes],
        "cells": [list(cell) for cell in places],
    }
