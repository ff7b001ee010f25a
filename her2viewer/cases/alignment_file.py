"""The file of a case that says how other slides lie on this one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from her2viewer.cases.atomic import atomic_text
from her2viewer.cases.versioned import read_versioned
from her2viewer.domain.alignment import Alignment, alignment_from_json, alignment_to_json

FORMAT = "her2viewer alignments"
VERSION = 1


@dataclass(frozen=True)
class AlignedSlide:
    """Another slide that was aligned with that of the case."""

    path: str
    """Where it was."""
    identity: str
    """Content hash, see ``Slide.identity``."""
    alignment: Alignment

    def found(self, beside: Path) -> Path | None:
        """The file: where it was, or beside the slide ``beside`` under its name; None where it is gone.

        Touches the disk.
        """
        return slide_found(self.path, beside)


def slide_found(kept: str, beside: Path) -> Path | None:
    """A slide that a case names: where it was, or beside the slide ``beside`` under its name; None where it is gone.

    Touches the disk.
    """
    before = Path(kept)
    for path in (before, beside.parent / before.name):
        if path.is_file():
            return path
    return None


def read_alignments(path: Path) -> tuple[AlignedSlide, ...]:
    """All aligned slides in a file; none where there is no file.

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    data = read_versioned(path, FORMAT, VERSION, "The list of aligned slides")
    if data is None:
        return ()
    slides = data.get("slides")
    if not isinstance(slides, list):
        raise ValueError("its list of slides is missing")
    return tuple(_aligned(entry) for entry in slides)


def write_alignments(path: Path, slides: tuple[AlignedSlide, ...]) -> None:
    """Write all aligned slides, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    entries = [{"path": s.path, "identity": s.identity, **alignment_to_json(s.alignment)} for s in slides]
    data = {"format": FORMAT, "version": VERSION, "slides": entries}
    atomic_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def _aligned(entry: Any) -> AlignedSlide:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise ValueError("an alignment is damaged")
    return AlignedSlide(entry["path"], str(entry.get("identity", "")), alignment_from_json(entry))
