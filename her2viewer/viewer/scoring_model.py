"""Values of the scoring controller: its states, what the pathologist adds, the scorers and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from her2viewer.domain.result import Result, ResultWarning
from her2viewer.guidelines.decision import Decision
from her2viewer.guidelines.engine import decide_all, decide_result
from her2viewer.guidelines.profiles import DEFAULT_PROFILE, Profile
from her2viewer.scoring.calibration_file import SETTING, with_calibration
from her2viewer.scoring.job import JobRequest
from her2viewer.scoring.manifest import Manifest
from her2viewer.scoring.model_store import models_stamp
from her2viewer.scoring.registry import ScorerEntry, available_scorers

DEFAULT_SCORER = "membrane"
STOPPED = "stopped"
"""Code of the warning on a result whose run did not reach its end and whose estimates are therefore unknown."""
PARTLY_SCORED = "partly_scored"
"""Code of the warning on a result that does not cover the whole region."""


class ScoringState(StrEnum):
    """Where the reader is with the scorer."""

    NO_SLIDE = "no slide"
    NO_PIXEL_SIZE = "no pixel size"
    NO_ROI = "no roi"
    READY = "ready"
    RUNNING = "running"
    CANCELLING = "cancelling"
    ANSWERED = "answered"
    PARTLY_SCORED = "partly scored"
    NOT_ASSESSABLE = "not assessable"
    FAILED = "failed"


@dataclass(frozen=True)
class Reading:
    """What the pathologist adds; saved with the case."""

    profile: str = DEFAULT_PROFILE
    pattern_marked: bool = False
    marks: frozenset[str] = frozenset()
    """Further marks that rows of a profile ask for."""
    control_checked: bool | None = None
    """True accepted, False refused, None not looked at."""
    own_score: str = ""
    """"", "0", "1+", "2+", "3+" or "not assessable"."""
    comment: str = ""


class ScorerChoice:
    """Which scorers there are, which one is chosen, and the settings of each."""

    def __init__(self) -> None:
        self._entries: tuple[ScorerEntry, ...] = ()
        self._stamp: tuple[tuple[str, int], ...] = ()
        self._settings: dict[str, dict[str, Any]] = {}
        self.id = DEFAULT_SCORER
        """The chosen one."""

    @property
    def entries(self) -> tuple[ScorerEntry, ...]:
        """All installed scorers, read at first use."""
        if not self._entries:
            # Before reading: what is installed meanwhile is seen the next time.
            self._stamp = models_stamp()
            self._entries = tuple(available_scorers())
        return self._entries

    def reread(self) -> bool:
        """Look for models that were installed or removed since; True where that changes what there is to choose."""
        if not self._entries or models_stamp() == self._stamp:
            return False
        before, self._entries = self._entries, ()
        return self.entries != before

    def entry(self, scorer: str) -> ScorerEntry | None:
        """The scorer with that id."""
        return next((e for e in self.entries if e.id == scorer), None)

    @property
    def manifest(self) -> Manifest | None:
        """Manifest of the chosen scorer; None where it cannot be used."""
        entry = self.entry(self.id)
        return entry.manifest if entry is not None and entry.usable else None

    @property
    def problem(self) -> str:
        """Why the chosen scorer cannot be used; "" where it can."""
        entry = self.entry(self.id)
        if entry is None:
            return f"The scorer {self.id!r} is not installed."
        return "" if entry.usable else entry.problem or "This scorer cannot be used."

    def settings_of(self, scorer: str) -> dict[str, Any]:
        """Complete settings: what was chosen over the defaults; {} for a scorer that cannot be used."""
        entry = self.entry(scorer)
        if entry is None or entry.manifest is None:
            return {}
        known = {s.id for s in entry.manifest.settings}
        chosen = {k: v for k, v in self._settings.get(scorer, {}).items() if k in known}
        try:
            return entry.manifest.complete(chosen)
        except ValueError:
            # Kept from another version, with other limits: start from the defaults.
            return entry.manifest.complete({})

    def keep_settings(self, scorer: str, settings: Mapping[str, Any]) -> None:
        """Remember settings, also those of a scorer that is not installed now."""
        self._settings[scorer] = dict(settings)

    def choose_settings(self, settings: Mapping[str, Any]) -> bool:
        """Settings of the chosen scorer; False where nothing changed.

        Raises:
            ValueError: one is out of its range; the sentence names it.
        """
        manifest = self.manifest
        if manifest is None:
            return False
        before = self.settings_of(self.id)
        checked = manifest.complete(settings)
        if checked.get(SETTING) and checked[SETTING] != before.get(SETTING):
            # A calibration that was just named brings its limits along.
            own = manifest.calibration.settings if manifest.calibration else ()
            named = {k: v for k, v in checked.items() if k not in own}
            checked = manifest.complete(with_calibration(manifest, named))
        if checked == before:
            return False
        self._settings[self.id] = checked
        return True


def reusable_result(result: Result | None, request: JobRequest) -> Result | None:
    """The result whose evidence a new run may add to, as far as the window knows; ``request_after`` decides."""
    if result is None:
        return None
    stopped = any(w.code == STOPPED for w in result.warnings)
    if stopped and result.provenance.region_hash != request.region.hash:
        # Its estimates were never told. They are made on the whole region, so only the same region gives the same.
        return None
    kept = tuple(w for w in result.warnings if w.code not in (STOPPED, PARTLY_SCORED))
    return replace(result, warnings=kept)


def counts_of(result: Result) -> Literal["cells", "surface", "nothing"]:
    """What a scorer that is no longer installed counted."""
    kinds = {item.kind for item in result.evidence}
    if result.shares is None:
        return "nothing"
    return "cells" if "cells" in kinds else "surface"


def coverage_text(coverage: float) -> str:
    """Scored share 0 to 1 of the region as printed; never ``100 %`` while something is missing."""
    percent = round(100 * coverage)
    return f"{percent if coverage >= 1 else min(99, percent)} %"


def partly_text(coverage: float) -> str:
    """The warning on a result that does not cover the whole region."""
    return f"Only {coverage_text(coverage)} of the region has been scored; run again to score the rest."


def shown_warnings(result: Result, coverage: float) -> tuple[ResultWarning, ...]:
    """Warnings of a result for the region as it is now."""
    kept = tuple(w for w in result.warnings if w.code not in (PARTLY_SCORED, STOPPED))
    return (*kept, ResultWarning(PARTLY_SCORED, partly_text(coverage))) if coverage < 1 else kept


def decisions_on(
    result: Result, profiles: Mapping[str, Profile], own: Profile, reading: Reading
) -> tuple[Decision, tuple[Decision, ...]]:
    """What the profile in use says of a result, and what the others say."""
    marked, marks, control = reading.pattern_marked, reading.marks, reading.control_checked
    return (
        decide_result(own, result, pattern_marked=marked, marks=marks, control_checked=control),
        decide_all(profiles, result, without=own.id, pattern_marked=marked, marks=marks, control_checked=control),
    )
