"""The reader's corrections of a tumour mask: what was added and what was removed, on top of what a scorer found."""

from __future__ import annotations

from dataclasses import dataclass, field

import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.region import polygonal

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in level-0 px."""


@dataclass(frozen=True)
class Corrections:
    """Areas in level-0 px that do not overlap. They belong to the slide, not to a run: scoring again keeps them."""

    added: Polygon | MultiPolygon = field(default_factory=Polygon)
    """Tumour whatever the scorer says."""
    removed: Polygon | MultiPolygon = field(default_factory=Polygon)
    """No tumour whatever the scorer says."""

    @property
    def empty(self) -> bool:
        """True where nothing was corrected."""
        return bool(self.added.is_empty and self.removed.is_empty)

    def after(self, area: BaseGeometry, tumour: bool) -> Corrections:
        """With one more stroke: the last one counts where strokes overlap."""
        stroke = polygonal(area)
        if stroke.is_empty:
            return self
        if tumour:
            return Corrections(polygonal(self.added.union(stroke)), polygonal(self.removed.difference(stroke)))
        return Corrections(polygonal(self.added.difference(stroke)), polygonal(self.removed.union(stroke)))

    def changed(self, other: Corrections) -> Bounds | None:
        """The smallest box that holds all places where two corrections differ; None where they are the same."""
        pairs = ((self.added, other.added), (self.removed, other.removed))
        parts = [a.symmetric_difference(b) for a, b in pairs if a is not b]
        parts = [part for part in parts if not part.is_empty]
        if not parts:
            return None
        x0, y0, x1, y1 = shapely.total_bounds(parts)
        return (float(x0), float(y0), float(x1), float(y1))


NO_CORRECTIONS = Corrections()


@dataclass(frozen=True)
class MaskChange:
    """How much of a tumour mask the reader changed, where it really is another one than the scorer's; mm2."""

    added: float = 0.0
    removed: float = 0.0

    @property
    def any(self) -> bool:
        """True where something was changed."""
        return self.added > 0 or self.removed > 0


NO_CHANGE = MaskChange()
