"""The file of a case that says which further views stood beside its slide, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from her2viewer.cases.alignment_file import slide_found
from her2viewer.cases.atomic import atomic_text
from her2viewer.cases.versioned import read_versioned

FORMAT = "her2viewer views"
VERSION = 1
KINDS = ("plain", "scorer", "other")
"""The same slide bare, the same with what one scorer found, another slide."""
MOST = 3


@dataclass(frozen=True)
class KeptView:
    """One view beside the main one."""

    kind: str
    """One of ``KINDS``."""
    scorer: str = ""
    """Id, where the result of a scorer is shown."""
    path: str = ""
    """Where another slide was."""
    linked: bool = True
    """It moves with the main view."""

    def found(self, beside: Path) -> Path | None:
        """The other slide: where it was, or beside the slide ``beside``; None where it is gone. Touches the disk."""
        return slide_found(self.path, beside)


@dataclass(frozen=True)
class KeptViews:
    """All further views in reading order, and how they share the room."""

    views: tuple[KeptView, ...] = ()
    stacked: bool = False
    """Two views stand one above the other, not side by side."""
    linked: bool = True
    """A view that is added moves with the others."""
    overlays: bool = True
    """Overlays are shown."""
    across: float = 0.5
    """Share of the width that the left views have, 0 to 1."""
    down: float = 0.5
    """Share of the height that the upper views have, 0 to 1."""


def read_views(path: Path) -> KeptViews | None:
    """The views in a file; None where there is no file.

    Raises:
        NewerFormatError: a later version of the program wrote it.
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    data = read_versioned(path, FORMAT, VERSION, "The list of views side by side")
    if data is None:
        return None
    views = data.get("views")
    if not isinstance(views, list) or len(views) > MOST:
        raise ValueError("its list of views is damaged")
    return KeptViews(
        views=tuple(_view(entry) for entry in views),
        stacked=data.get("stacked") is True,
        linked=data.get("linked") is not False,
        overlays=data.get("overlays") is not False,
        across=_share(data.get("across", 0.5)),
        down=_share(data.get("down", 0.5)),
    )


def write_views(path: Path, kept: KeptViews) -> None:
    """Write the views, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    entries = []
    for view in kept.views:
        entry: dict[str, Any] = {"kind": view.kind, "linked": view.linked}
        if view.scorer:
            entry["scorer"] = view.scorer
        if view.path:
            entry["path"] = view.path
        entries.append(entry)
    data = {
        "format": FORMAT,
        "version": VERSION,
        "stacked": kept.stacked,
        "linked": kept.linked,
        "overlays": kept.overlays,
        "across": kept.across,
        "down": kept.down,
        "views": entries,
    }
    atomic_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def _view(entry: Any) -> KeptView:
    if not isinstance(entry, dict) or entry.get("kind") not in KINDS:
        raise ValueError("a view is damaged")
    scorer, path = entry.get("scorer", ""), entry.get("path", "")
    needed = {"plain": "-", "scorer": scorer, "other": path}[entry["kind"]]
    if not isinstance(scorer, str) or not isinstance(path, str) or not needed:
        raise ValueError("a view is damaged")
    return KeptView(entry["kind"], scorer, path, entry.get("linked") is not False)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError("the place of a divider is damaged")
    return float(value)
