"""What a scorer hands over at its end, with everything needed to say how it was obtained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from her2viewer.domain.evidence import Evidence
from her2viewer.domain.region import Region
from her2viewer.domain.shares import Shares


class Status(StrEnum):
    """HER2 status as a scorer may claim it."""

    NEGATIVE = "negative"
    EQUIVOCAL = "equivocal"
    POSITIVE = "positive"


@dataclass(frozen=True)
class ResultWarning:
    """Something the reader must know about a result; ``code`` is for machines, ``text`` for people."""

    code: str
    text: str
    of_region: bool = False
    """True of the region as it was scored ("only 46 cells"), and no longer when more is scored."""


@dataclass(frozen=True)
class NotAssessable:
    """An answer of its own: why there is no score, and what to do."""

    code: str
    reason: str
    advice: str


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from. Enough to obtain it again, and to see when two results differ."""

    scorer: str
    scorer_version: str
    program_version: str
    slide_identity: str
    """Content hash of the slide file, see ``slides.identity``."""
    region_hash: str
    mpp: float
    """um per level-0 px."""
    mpp_source: str
    device: str
    settings: Mapping[str, Any]
    estimates: Mapping[str, Any] = field(default_factory=dict)
    """What was estimated on the slide itself (background, stain vectors, thresholds); JSON values."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """sha256 by weights file; empty for a scorer without trained weights."""
    started: str = ""
    """ISO 8601 with time zone."""
    duration_s: float = 0.0


@dataclass(frozen=True)
class Result:
    """Shares or none, a score and a status or none, the evidence, the warnings, the provenance."""

    provenance: Provenance
    scored: Region
    """The area that was looked at; a ROI edited later is covered as far as this goes."""
    evidence: tuple[Evidence, ...] = ()
    shares: Shares | None = None
    """Counted by the core from evidence and region, never by the scorer itself."""
    score: int | None = None
    """Own answer of a scorer that gives no shares."""
    score_probabilities: tuple[float, float, float, float] | None = None
    status: Status | None = None
    status_probability: float | None = None
    not_assessable: NotAssessable | None = None
    warnings: tuple[ResultWarning, ...] = ()
