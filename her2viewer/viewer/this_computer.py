"""What the window and ``her2viewer doctor`` say of this computer: the device of the scorer, memory. No Qt here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from her2viewer.scoring.working_on import WorkingOn
from her2viewer.slides.pixel_memory import decoded
from her2viewer.viewer.canvas.budget import SHARE_COUNTED, default_budget


class _Store(Protocol):
    @property
    def used(self) -> int: ...


class _Canvas(Protocol):
    @property
    def store(self) -> _Store: ...


@dataclass(frozen=True)
class Held:
    """Bytes of memory."""

    window: int | None
    """Of this process; None where the system does not say."""
    scoring: int | None
    """Of the scoring process; None without one."""
    tiles: int
    """Of slides, kept in order to show them again at once."""

    @classmethod
    def now(cls, canvases: Iterable[_Canvas], scoring_pid: int | None) -> Held:
        """What is held at this moment."""
        scoring = None if scoring_pid is None else memory_of(scoring_pid)
        return cls(memory_of(), scoring, sum(c.store.used for c in canvases) + decoded.held)


def computer_rows(works: WorkingOn | None, held: Held) -> list[tuple[str, str]]:
    """Title and words of each thing that is known.

    Args:
        works: of the chosen scorer; None before its networks were loaded.
        held: memory.
    """
    rows = [("The scorer works on", "not known before its networks are loaded" if works is None else works.sentence)]
    if works is not None and works.no_gpu is not None and works.no_gpu.fix:
        rows.append(("To use the GPU", works.no_gpu.fix))
    if held.window is not None:
        rows.append(("Memory of the window", megabytes(held.window)))
    if held.scoring is not None:
        rows.append(("Memory of the scoring process", megabytes(held.scoring)))
    return [*rows, ("Tiles of slides", kept_words(held.tiles))]


def kept_words(used: int | None = None) -> str:
    """How much of slides the window keeps, and its limit.

    Args:
        used: bytes kept now; None says the limit alone.
    """
    budget = default_budget()
    limit = round((budget.screen + budget.decoded) / SHARE_COUNTED)
    now = "" if used is None else f"{megabytes(used)} now, "
    return f"{now}at most {megabytes(limit)} (a tenth of this computer's memory, no more than 1 GB)"


def megabytes(size: int) -> str:
    """``412 MB``, ``1.3 GB``."""
    return f"{size / 2**20:,.0f} MB" if size < 1000 * 2**20 else f"{size / 2**30:.1f} GB"


def memory_of(pid: int | None = None) -> int | None:
    """Bytes that a process holds, by default this one; None where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
