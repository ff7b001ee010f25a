"""Shapes between shapely and GeoJSON's ``geometry`` objects, in level-0 px."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.region import polygonal

DECIMALS = 2
ELLIPSE_POINTS = 128
MAX_COORDINATE = 1e8
"""px; beyond it a coordinate is an error of the file, no slide is that large."""

_POLYGONAL = ("Polygon", "MultiPolygon")


def geometry_to_json(shape: BaseGeometry) -> dict[str, Any] | None:
    """The ``geometry`` object of a shape: two decimals, rings closed, a one-part multi-shape made single.

    None where nothing is left of the shape (an empty one, an area below 0.01 px across).
    """
    if shape.is_empty:
        return None
    if shape.geom_type in (*_POLYGONAL, "GeometryCollection", "LinearRing"):
        # QuPath's export of a GeometryCollection is broken, so the areas are what is written of one.
        shape = polygonal(shapely.Polygon(shape) if shape.geom_type == "LinearRing" else shape)
        rounded = shapely.transform(shape, lambda xy: np.round(xy, DECIMALS))
        if not rounded.is_valid:
            # Rounding made two edges touch or a sliver vanish: snap to the grid in a way that stays valid.
            rounded = polygonal(shapely.set_precision(shape, 10.0**-DECIMALS))
            rounded = shapely.transform(rounded, lambda xy: np.round(xy, DECIMALS))
        if rounded.is_empty or rounded.area <= 0:
            return None
        shape = rounded
    elif shape.geom_type.startswith("Multi") and len(shapely.get_parts(shape)) == 1:
        shape = shapely.get_parts(shape)[0]
    return {"type": shape.geom_type, "coordinates": _coordinates(shape)}


def _coordinates(shape: BaseGeometry) -> Any:
    match shape.geom_type:
        case "Point":
            return _points(shape)[0]
        case "LineString":
            return _points(shape)
        case "Polygon":
            return [_points(ring) for ring in (shape.exterior, *shape.interiors)]
        case _:
            return [_coordinates(part) for part in shapely.get_parts(shape)]


def _points(shape: BaseGeometry) -> list[list[float | int]]:
    # Adding 0.0 turns -0.0 into 0.0.
    rows = (np.round(shapely.get_coordinates(shape), DECIMALS) + 0.0).tolist()
    return [[int(v) if v.is_integer() else v for v in row] for row in rows]


def geometry_from_json(data: Any) -> BaseGeometry:
    """The shape of a ``geometry`` object, level-0 px; areas are repaired where they cross themselves.

    Of a GeometryCollection the areas are taken, else the lines, else the points. An object that is marked
    ``isEllipse`` becomes the ellipse of its bounding box, as in QuPath.

    Raises:
        ValueError: a few words for the reader: why this is no shape.
    """
    if not isinstance(data, Mapping):
        raise ValueError("it has no geometry")
    kind = data.get("type")
    if kind == "GeometryCollection":
        return _from_collection(data.get("geometries"))
    coordinates = data.get("coordinates")
    try:
        match kind:
            case "Point":
                shape: BaseGeometry = shapely.Point(_array([coordinates])[0])
            case "MultiPoint":
                shape = shapely.MultiPoint(_array(coordinates))
            case "LineString":
                shape = shapely.LineString(_array(coordinates))
            case "MultiLineString":
                shape = shapely.MultiLineString([_array(line) for line in _list(coordinates)])
            case "LinearRing":
                shape = _polygon([coordinates])
            case "Polygon":
                shape = _polygon(coordinates)
            case "MultiPolygon":
                parts = [_polygon(part) for part in _list(coordinates)]
                shape = shapely.MultiPolygon(parts)
                if not shape.is_valid:
                    # Overlapping parts are joined; made valid as a whole, their overlap could become a hole.
                    shape = shapely.union_all([polygonal(part) for part in parts])
            case _:
                raise ValueError(f"its geometry type {kind!r} is unknown")
    except (TypeError, shapely.errors.ShapelyError) as error:
        raise ValueError("its coordinates are damaged") from error
    if data.get("isEllipse") is True and not shape.is_empty:
        shape = _ellipse(*shape.bounds)
    if shape.geom_type in _POLYGONAL:
        shape = polygonal(shape)
        if shape.is_empty or shape.area <= 0:
            raise ValueError("its outline encloses no area")
    elif shape.is_empty:
        raise ValueError("its geometry is empty")
    elif shape.geom_type.startswith("Multi") and len(shapely.get_parts(shape)) == 1:
        shape = shapely.get_parts(shape)[0]
    return shape


def _from_collection(parts: Any) -> BaseGeometry:
    shapes: list[BaseGeometry] = []
    for part in _list(parts):
        try:
            shapes.append(geometry_from_json(part))
        except ValueError:
            continue
    for family in (_POLYGONAL, ("LineString", "MultiLineString"), ("Point", "MultiPoint")):
        chosen = [s for s in shapes if s.geom_type in family]
        if chosen:
            joined = shapely.union_all(chosen)
            return polygonal(joined) if family is _POLYGONAL else joined
    raise ValueError("its collection of geometries holds no usable shape")


def _polygon(rings: Any) -> shapely.Polygon:
    outer, *inner = _list(rings) or [[]]
    shell = _array(outer)
    if len(shell) < 3:
        raise ValueError("its outline has fewer than three points")
    holes = [ring for ring in (_array(r) for r in inner) if len(ring) >= 3]
    return shapely.Polygon(shell, holes)


def _ellipse(x0: float, y0: float, x1: float, y1: float) -> BaseGeometry:
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    return shapely.Polygon(
        np.stack(
            [(x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angle), (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(angle)], axis=1
        )
    )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError("its coordinates are damaged")
    return list(value)


def _array(points: Any) -> NDArray[np.float64]:
    """(n, 2) float64 of a list of positions; a third coordinate is dropped.

    Raises:
        ValueError: no list of positions, or a number that no slide has.
    """
    try:
        pairs = [(float(p[0]), float(p[1])) for p in _list(points)]
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError("its coordinates are damaged") from error
    array = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(array).all() or (np.abs(array) > MAX_COORDINATE).any():
        raise ValueError("its coordinates are no numbers that a slide can have")
    return array
