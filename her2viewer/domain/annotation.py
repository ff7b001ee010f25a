"""What a person draws on a slide. Values are immutable: an edit makes a new one, which makes undo exact."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.region import Region
from her2viewer.domain.union import AreaUnion, NetArea

RGB = tuple[int, int, int]


class Role(StrEnum):
    """What an annotation means to the program."""

    ROI = "roi"
    EXCLUDE = "exclude"
    CONTROL = "control"
    NOTE = "note"


EXCLUSION_CLASSES: tuple[str, ...] = ("In situ carcinoma", "Benign gland", "Artefact")

DEFAULT_CLASS: Mapping[Role, tuple[str, RGB]] = MappingProxyType(
    {
        # QuPath's own "Tumor" red, so that the ROI is recognised there.
        Role.ROI: ("Tumor", (200, 0, 0)),
        Role.EXCLUDE: ("Ignore*", (180, 180, 180)),
        Role.CONTROL: ("Control", (80, 160, 220)),
        Role.NOTE: ("Note", (240, 200, 80)),
    }
)


@dataclass(frozen=True)
class Annotation:
    """One outlined object, geometry in level-0 px."""

    geometry: BaseGeometry
    role: Role = Role.ROI
    class_name: str | None = None
    color: RGB | None = None
    name: str = ""
    text: str = ""
    locked: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    foreign: Mapping[str, Any] = field(default_factory=dict)
    """Members of the GeoJSON feature that this program does not use and gives back unchanged."""

    @classmethod
    def drawn(cls, geometry: BaseGeometry, role: Role, class_name: str | None = None, name: str = "") -> Annotation:
        """A new annotation with the usual class and colour of its role."""
        default, color = DEFAULT_CLASS[role]
        return cls(geometry=geometry, role=role, class_name=class_name or default, color=color, name=name)

    def with_geometry(self, geometry: BaseGeometry) -> Annotation:
        """The same annotation with another outline."""
        return replace(self, geometry=geometry)


@dataclass(frozen=True)
class AnnotationSet:
    """All annotations of a slide, in drawing order."""

    items: tuple[Annotation, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """The annotations: what was worked out of them stays in this process."""
        return {"items": self.items}

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def get(self, annotation_id: str) -> Annotation | None:
        """The annotation with that id, or None."""
        return next((a for a in self.items if a.id == annotation_id), None)

    def with_role(self, role: Role) -> tuple[Annotation, ...]:
        """All annotations of one role."""
        return tuple(a for a in self.items if a.role is role)

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """x0, y0, x1, y1 of each in level-0 px, (n, 4); NaN where a geometry is empty."""
        return np.asarray(shapely.bounds(np.array([a.geometry for a in self.items], dtype=object))).reshape(-1, 4)

    def touching(self, x0: float, y0: float, x1: float, y1: float) -> NDArray[np.int64]:
        """Positions of those whose bounds touch a rectangle (level-0 px), in drawing order, (k,)."""
        b = self.bounds
        return np.flatnonzero((b[:, 0] <= x1) & (b[:, 2] >= x0) & (b[:, 1] <= y1) & (b[:, 3] >= y0))

    def added(self, *new: Annotation) -> AnnotationSet:
        """With ``new`` at the end."""
        return self.with_items(self.items + new)

    def removed(self, *ids: str) -> AnnotationSet:
        """Without those ids."""
        gone = set(ids)
        return self.with_items(tuple(a for a in self.items if a.id not in gone))

    def replaced(self, new: Annotation) -> AnnotationSet:
        """With ``new`` in the place of the one that has its id.

        Raises:
            KeyError: there is none with that id.
        """
        if self.get(new.id) is None:
            raise KeyError(new.id)
        return self.with_items(tuple(new if a.id == new.id else a for a in self.items))

    def with_items(self, items: tuple[Annotation, ...]) -> AnnotationSet:
        """These in place of its own; where most are the same, the region costs little."""
        other = AnnotationSet(items)
        other.__dict__["_known"] = self._known
        return other

    def region(self) -> Region:
        """What a scorer looks at: union of the ROIs less the exclusions and the control tissue. Worked out once."""
        return self._region

    def follow(self, other: AnnotationSet) -> None:
        """Take over what another set worked out of its region, as far as it holds here too.

        The other one forgets it, and works it out anew if it is asked again: of many sets, as in a history of edits,
        one at a time keeps the outlines of thousands.
        """
        if other is not self and "_region" not in self.__dict__:
            self.__dict__["_known"] = other._known
        if other is not self:
            for name in ("_known", "_region", "bounds"):
                other.__dict__.pop(name, None)

    def control_region(self) -> Region:
        """The on-slide control tissue, possibly empty."""
        return Region.of(a.geometry for a in self.with_role(Role.CONTROL))

    @property
    def _known(self) -> NetArea | None:
        """What is known of the region, of this set or of one that it was made from."""
        known: NetArea | None = self.__dict__.get("_known")
        return known

    @cached_property
    def _region(self) -> Region:
        return Region.of_net(self.net)

    @property
    def net(self) -> NetArea:
        """The region as disjoint polygons, to go on from where an edit is being drawn."""
        include = [a.geometry for a in self.items if a.role is Role.ROI]
        exclude = [a.geometry for a in self.items if a.role is Role.EXCLUDE or a.role is Role.CONTROL]
        known = self._known
        if known is None:
            net = NetArea.of(AreaUnion.of(include), AreaUnion.of(exclude))
        else:
            net = known.changed_to(include, exclude)
        self.__dict__["_known"] = net
        return net
