"""Unions of very many areas that are kept, so that an edit of a few of them costs little."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

MOST_CHANGES = 1000
"""Of more areas at once the union is built anew."""

Areas = NDArray[Any]
"""Shapely geometries, (n,) of dtype object."""


def polygonal(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """The valid area part of a geometry: lines and points dropped, self-crossings repaired.

    A one-part MultiPolygon becomes a Polygon, as QuPath expects. Empty input gives an empty Polygon.
    """
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    parts = [g for g in shapely.get_parts(shapely.get_parts(geometry)) if isinstance(g, Polygon) and not g.is_empty]
    if not parts:
        return Polygon()
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def collected(parts: Areas) -> Polygon | MultiPolygon:
    """Polygons whose interiors do not meet, as one geometry."""
    if not len(parts):
        return Polygon()
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def ids_of(objects: Areas) -> NDArray[np.int64]:
    """What tells objects apart as long as they live, (n,)."""
    return np.fromiter(map(id, objects), dtype=np.int64, count=len(objects))


def fresh_in(ids: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of ``ids`` are not in ``known``, (len(ids),)."""
    if ids is known or not len(known):
        return np.full(len(ids), ids is not known)
    ordered = np.sort(known)
    place = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
    return np.asarray(ordered[place] != ids)


@dataclass(frozen=True, eq=False)
class AreaUnion:
    """Union of areas as disjoint polygons, with what each consists of. Immutable.

    Areas that meet, directly or through others, form a group: GEOS would build one graph of all edges, and of
    thousands of cells most stand alone. An edit unites only the groups anew that it touches. Areas are told apart by
    identity.
    """

    members: Areas
    """The areas as given, (n,)."""
    group: NDArray[np.int64]
    """Of each member, (n,)."""
    parts: Areas
    """Polygons, (m,); their interiors do not meet."""
    part_group: NDArray[np.int64]
    """(m,)."""
    bounds: NDArray[np.float64]
    """x0, y0, x1, y1 of the parts, (m, 4)."""

    @cached_property
    def member_ids(self) -> NDArray[np.int64]:
        """(n,)."""
        return ids_of(self.members)

    @cached_property
    def part_ids(self) -> NDArray[np.int64]:
        """(m,)."""
        return ids_of(self.parts)

    @classmethod
    def apart(cls, parts: Areas) -> AreaUnion:
        """Of polygons whose interiors do not meet, each on its own."""
        number = np.arange(len(parts))
        return cls(parts, number, parts, number, _bounds(parts))

    @classmethod
    def of(cls, geometries: Iterable[BaseGeometry]) -> AreaUnion:
        """The union of the area parts of geometries, repaired where they are not valid."""
        members = _array(geometries)
        clean = members.copy()
        odd = ~(shapely.is_valid(clean) & np.isin(shapely.get_type_id(clean), (3, 6)))
        clean[odd] = [polygonal(g) for g in clean[odd]]
        pieces, owner = shapely.get_parts(clean, return_index=True)
        filled = ~shapely.is_empty(pieces)
        pieces, owner = pieces[filled], owner[filled]
        first, second = shapely.STRtree(pieces).query(pieces, predicate="intersects")
        pairs = first < second
        first, second = first[pairs], second[pairs]
        group = _groups(len(members), owner[first], owner[second])
        parts, piece = _united(pieces, first, second)
        return cls(members, group, parts, group[owner[piece]], _bounds(parts))

    def changed_to(self, geometries: Iterable[BaseGeometry]) -> AreaUnion:
        """The union of other geometries, most of which are members already.

        As exact as ``of``: every group that an edit touches is united anew from its members.
        """
        members = _array(geometries)
        ids = ids_of(members)
        fresh = members[fresh_in(ids, self.member_ids)]
        gone = fresh_in(self.member_ids, ids)
        if not len(fresh) and not gone.any():
            return self
        if len(fresh) + int(gone.sum()) > MOST_CHANGES:
            return AreaUnion.of(members)
        touched = np.concatenate([self.group[gone], self.part_group[self._met_by(fresh)]])
        anew = np.isin(self.group, touched)
        again = AreaUnion.of(np.concatenate([self.members[anew & ~gone], fresh]))
        stay = ~np.isin(self.part_group, touched)
        shift = int(self.group.max(initial=-1)) + 1
        return AreaUnion(
            np.concatenate([self.members[~anew], again.members]),
            np.concatenate([self.group[~anew], again.group + shift]),
            np.concatenate([self.parts[stay], again.parts]),
            np.concatenate([self.part_group[stay], again.part_group + shift]),
            np.concatenate([self.bounds[stay], again.bounds]),
        )

    def plus(self, area: BaseGeometry) -> AreaUnion:
        """With one more area, of which nobody will ask again what is member of what: for a stroke that grows."""
        area = polygonal(area)
        near = self._met_by(_array([area]))
        made = shapely.get_parts(shapely.union_all([*self.parts[near], area]))
        made = made[~shapely.is_empty(made)]
        stay = np.ones(len(self.parts), dtype=bool)
        stay[near] = False
        return AreaUnion.apart(np.concatenate([self.parts[stay], made]))

    def _met_by(self, geometries: Areas) -> NDArray[np.int64]:
        """Positions of the parts that some of these geometries meet."""
        clean = _array(area for g in geometries if not (area := polygonal(g)).is_empty)
        if not len(clean):
            return np.zeros(0, dtype=np.int64)
        near = touching(self.bounds, shapely.total_bounds(clean))
        found, _ = shapely.STRtree(clean).query(self.parts[near], predicate="intersects")
        return np.asarray(near[np.unique(found)], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class NetArea:
    """One union less another. Immutable."""

    inside: AreaUnion
    outside: AreaUnion
    parts: Areas
    """Polygons, (k,)."""
    owner: Areas
    """Of each the part of ``inside`` that it comes from, (k,)."""

    @cached_property
    def part_ids(self) -> NDArray[np.int64]:
        """(k,)."""
        return self.inside.part_ids if self.parts is self.inside.parts else ids_of(self.parts)

    @classmethod
    def of(cls, inside: AreaUnion, outside: AreaUnion) -> NetArea:
        """Each part of ``inside`` less the parts of ``outside`` that meet it."""
        return cls(inside, outside, *_cut(inside.parts, outside))

    def changed_to(self, include: Iterable[BaseGeometry], exclude: Iterable[BaseGeometry]) -> NetArea:
        """The same of other areas, most of which are known already."""
        inside, outside = self.inside.changed_to(include), self.outside.changed_to(exclude)
        if inside is self.inside and outside is self.outside:
            return self
        return self._of(inside, outside)

    def plus(self, area: BaseGeometry, *, inside: bool) -> NetArea:
        """With one more area that counts or, where ``inside`` is False, does not; as ``AreaUnion.plus``."""
        if inside:
            return self._of(self.inside.plus(area), self.outside)
        return self._of(self.inside, self.outside.plus(area))

    def _of(self, inside: AreaUnion, outside: AreaUnion) -> NetArea:
        """The same of unions that have most of their parts in common with its own."""
        if not len(outside.parts):
            return NetArea(inside, outside, inside.parts, inside.parts)
        other = [
            outside.bounds[fresh_in(outside.part_ids, self.outside.part_ids)],
            self.outside.bounds[fresh_in(self.outside.part_ids, outside.part_ids)],
        ]
        edited = np.concatenate(other)
        if len(edited) > MOST_CHANGES:
            return NetArea.of(inside, outside)
        anew = fresh_in(inside.part_ids, self.inside.part_ids)
        for box in edited:
            anew[touching(inside.bounds, box)] = True
        stay = ~fresh_in(ids_of(self.owner), inside.part_ids[~anew])
        parts, owner = _cut(inside.parts[anew], outside)
        return NetArea(
            inside, outside, np.concatenate([self.parts[stay], parts]), np.concatenate([self.owner[stay], owner])
        )


def touching(bounds: NDArray[np.float64], box: Iterable[float]) -> NDArray[np.int64]:
    """Positions of those bounds (n, 4) that touch a box x0, y0, x1, y1; none touches an empty one (NaN)."""
    x0, y0, x1, y1 = box
    b = bounds
    return np.flatnonzero((b[:, 0] <= x1) & (b[:, 2] >= x0) & (b[:, 1] <= y1) & (b[:, 3] >= y0))


def _cut(parts: Areas, outside: AreaUnion) -> tuple[Areas, Areas]:
    """Polygons left of parts, and of each the part that it comes from."""
    part, other = shapely.STRtree(outside.parts).query(parts, predicate="intersects")
    if not len(part):
        return parts, parts
    order = np.argsort(part, kind="stable")
    part, other = part[order], other[order]
    cuts = np.flatnonzero(np.diff(part)) + 1
    hit = part[np.concatenate([[0], cuts])]
    left = [
        polygonal(parts[i].difference(collected(outside.parts[others])))
        for i, others in zip(hit, np.split(other, cuts), strict=True)
    ]
    pieces, index = shapely.get_parts(np.array(left, dtype=object), return_index=True)
    filled = ~shapely.is_empty(pieces)
    whole = np.ones(len(parts), dtype=bool)
    whole[hit] = False
    found = np.concatenate([parts[whole], pieces[filled]])
    return found, np.concatenate([parts[whole], parts[hit][index[filled]]])


def _united(pieces: Areas, first: NDArray[Any], second: NDArray[Any]) -> tuple[Areas, NDArray[np.int64]]:
    """Polygons united where pairs of them meet, and of each one of the polygons that it was made of."""
    if not len(first):
        return pieces, np.arange(len(pieces))
    root = _groups(len(pieces), first, second)
    meeting = np.zeros(len(pieces), dtype=bool)
    meeting[first] = meeting[second] = True
    some = np.flatnonzero(meeting)
    some = some[np.argsort(root[some], kind="stable")]
    cuts = np.flatnonzero(np.diff(root[some])) + 1
    groups = np.split(some, cuts)
    made, index = shapely.get_parts(
        np.array([shapely.union_all(pieces[g]) for g in groups], dtype=object), return_index=True
    )
    member = np.array([g[0] for g in groups], dtype=np.int64)
    return np.concatenate([pieces[~meeting], made]), np.concatenate([np.flatnonzero(~meeting), member[index]])


def _groups(count: int, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
    """The smallest member of each one's connected group, (count,)."""
    root = np.arange(count)
    while len(first):
        low = np.minimum(root[first], root[second])
        before = root.copy()
        np.minimum.at(root, first, low)
        np.minimum.at(root, second, low)
        root = root[root]
        if np.array_equal(root, before):
            break
    return root


def _array(geometries: Iterable[BaseGeometry]) -> Areas:
    given = list(geometries)
    array = np.empty(len(given), dtype=object)
    array[:] = given
    return array


def _bounds(parts: Areas) -> NDArray[np.float64]:
    return np.asarray(shapely.bounds(parts), dtype=np.float64).reshape(-1, 4)
