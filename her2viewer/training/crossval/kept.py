"""What a cross-validation has done already: arrays and a note, one file each, whole or not at all; no pickles."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.cases.atomic import atomic_file

NOTE = "note"


@dataclass(frozen=True)
class Kept:
    """One step."""

    arrays: Mapping[str, NDArray[Any]]
    note: Mapping[str, float]


def keep(path: Path, made: Mapping[str, Any]) -> Kept:
    """Write a step: arrays by name, and ``note``, numbers by name.

    Raises:
        StorageError: it cannot be written.
    """
    note = {name: float(value) for name, value in made[NOTE].items()}
    arrays = {name: np.asarray(value) for name, value in made.items() if name != NOTE}
    with atomic_file(path) as file:
        everything: dict[str, Any] = {**arrays, NOTE: np.array(json.dumps(note))}
        np.savez(file, **everything)
    return Kept(arrays, note)


def kept(path: Path) -> Kept | None:
    """A step that was written; None where it is not there or damaged, so that it is done again."""
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
        note = json.loads(str(arrays.pop(NOTE)))
        return Kept(arrays, {str(name): float(value) for name, value in note.items()})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
