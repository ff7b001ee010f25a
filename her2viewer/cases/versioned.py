"""Small JSON files of a case that name their format and its version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from her2viewer.cases.case import NewerFormatError


def read_versioned(path: Path, kind: str, version: int, title: str) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file.

    Args:
        path: the file.
        kind: what its entry ``format`` must say.
        version: the latest that this program knows.
        title: what the file is called in a sentence ("The list of aligned slides").

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is damaged, or another kind of file.
        OSError: it cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("format") != kind:
        raise ValueError(f"it is no file of the kind {kind!r}")
    found = data.get("version")
    if not isinstance(found, int) or found < 1:
        raise ValueError("its format version is missing")
    if found > version:
        raise NewerFormatError(title, found, version)
    return data
