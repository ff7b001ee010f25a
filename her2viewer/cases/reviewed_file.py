"""The file of a case that says which places of the slide were looked at closely."""

from __future__ import annotations

import json
from pathlib import Path

from her2viewer.cases.atomic import atomic_text
from her2viewer.cases.versioned import read_versioned
from her2viewer.domain.reviewed import ReviewedMap, reviewed_from_json, reviewed_to_json

FORMAT = "her2viewer reviewed map"
VERSION = 1


def read_reviewed(path: Path) -> ReviewedMap | None:
    """The map in a file; None where there is no file.

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    data = read_versioned(path, FORMAT, VERSION, "The map of what was looked at")
    return None if data is None else reviewed_from_json(data)


def write_reviewed(path: Path, reviewed: ReviewedMap) -> None:
    """Write the map, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    data = {"format": FORMAT, "version": VERSION, **reviewed_to_json(reviewed)}
    atomic_text(path, json.dumps(data, indent=2) + "\n")
