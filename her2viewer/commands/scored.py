"""What one call of ``her2viewer score`` found out, as a value: what is written and what is said is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from her2viewer.commands.score_corrected import Corrected
from her2viewer.domain.annotation import AnnotationSet
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.slides.slide import Slide

if TYPE_CHECKING:
    from her2viewer.cases.case import Case
    from her2viewer.domain.result import Result
    from her2viewer.guidelines.decision import Decision
    from her2viewer.guidelines.profiles import Profile
    from her2viewer.scoring.manifest import Manifest

CASE_FIELDS: Mapping[str, str] = {"case_id": "Case", "block": "Block", "lab": "Laboratory", "reader": "Reader"}
"""The fields of a case as the window keeps them, with what the report prints before each."""


@dataclass(frozen=True)
class Scored:
    """Everything that one call of the command found out."""

    slide: Slide
    pixel_size: PixelSize
    annotations: AnnotationSet
    manifest: Manifest
    found: Result
    """As the scorer gave it: what the case keeps, beside the corrections."""
    corrected: Corrected
    profile: Profile
    decision: Decision
    others: tuple[Decision, ...]
    marks: Mapping[str, Any]
    """What a person saw: arguments of ``decide`` besides the result."""
    before: Case
    """What the case in the folder says already; an empty one where there is none."""
    fields: Mapping[str, str]
    """By the ids that the window uses, see ``printed_fields``."""

    @property
    def result(self) -> Result:
        """As the reader corrected it."""
        return self.corrected.result

    @property
    def whole(self) -> Region:
        """The slide."""
        return Region.rectangle(0, 0, self.slide.width, self.slide.height)

    @property
    def printed_fields(self) -> dict[str, str]:
        """The fields by what the report prints before each; empty ones have their place there, too."""
        return {label: self.fields.get(name, "") for name, label in CASE_FIELDS.items()}
