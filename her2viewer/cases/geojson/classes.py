"""QuPath's classes and colours, and what a class means to this program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from her2viewer.domain.annotation import DEFAULT_CLASS, RGB, Role

INTENSITY_COLORS: Mapping[str, RGB] = {
    "negative": (90, 90, 180),
    "positive": (200, 50, 50),
    "1+": (255, 215, 0),
    "2+": (225, 150, 50),
    "3+": (200, 50, 50),
}
"""QuPath's built-in intensity classes, by lower-case name; a HER2 "0" is its "Negative"."""

HER2_CLASS_NAMES: tuple[str, str, str, str] = ("Negative", "1+", "2+", "3+")
"""How the classes 0 to 3 are called in QuPath, so that its users recognise name and colour."""

# Beginnings of class names, lower case; the first that fits decides. QuPath marks classes that its own
# commands leave out with a star ("Ignore*", "Region*").
_ROLE_OF_CLASS: tuple[tuple[str, Role], ...] = (
    ("ignore", Role.EXCLUDE),
    ("necro", Role.EXCLUDE),
    ("in situ", Role.EXCLUDE),
    ("in-situ", Role.EXCLUDE),
    ("insitu", Role.EXCLUDE),
    ("dcis", Role.EXCLUDE),
    ("lcis", Role.EXCLUDE),
    ("benign", Role.EXCLUDE),
    ("normal", Role.EXCLUDE),
    ("artefact", Role.EXCLUDE),
    ("artifact", Role.EXCLUDE),
    ("exclude", Role.EXCLUDE),
    ("stroma", Role.EXCLUDE),
    ("immune", Role.EXCLUDE),
    ("control", Role.CONTROL),
    ("note", Role.NOTE),
    ("tumor", Role.ROI),
    ("tumour", Role.ROI),
    ("invasive", Role.ROI),
    ("carcinoma", Role.ROI),
    ("region", Role.ROI),
    ("roi", Role.ROI),
    ("negative", Role.ROI),
    ("positive", Role.ROI),
    ("1+", Role.ROI),
    ("2+", Role.ROI),
    ("3+", Role.ROI),
)


def role_of_class(class_name: str | None) -> Role | None:
    """What an outline of that class means here: no class is a ROI, an unknown one is None."""
    if not class_name:
        return Role.ROI
    lowered = class_name.strip().lower()
    if lowered in ("0", "0+"):
        return Role.ROI
    return next((role for start, role in _ROLE_OF_CLASS if lowered.startswith(start)), None)


def default_color(class_name: str, role: Role) -> RGB:
    """A colour for a class that came without one: QuPath will not read a class that has none."""
    last = class_name.rpartition(":")[2].strip().lower()
    if last in INTENSITY_COLORS:
        return INTENSITY_COLORS[last]
    usual = {name.lower(): color for name, color in DEFAULT_CLASS.values()}
    return usual.get(class_name.lower(), DEFAULT_CLASS[role][1])


def class_names(class_name: str) -> list[str]:
    """The path of a class: "Tumor: Positive" is ["Tumor", "Positive"]. Names hold no colon and no newline."""
    parts = [" ".join(part.split()) for part in class_name.split(":")]
    return [part for part in parts if part] or ["Unnamed"]


def parse_color(value: Any) -> tuple[RGB | None, int | None]:
    """Colour and alpha of a list of 3 or 4 numbers, or of one packed integer (Java's signed ARGB).

    (None, None) where it is neither.
    """
    if isinstance(value, bool) or value is None:
        return None, None
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return None, None
        packed = int(value) & 0xFFFFFFFF
        return ((packed >> 16) & 255, (packed >> 8) & 255, packed & 255), None
    if isinstance(value, list | tuple) and len(value) in (3, 4):
        numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
        if len(numbers) != len(value):
            return None, None
        red, green, blue, *alpha = (min(255, max(0, int(v))) for v in numbers)
        # QuPath takes an alpha of 0 or 255 for none.
        return (red, green, blue), (alpha[0] if alpha and alpha[0] not in (0, 255) else None)
    return None, None


def parse_classification(value: Any) -> tuple[str | None, RGB | None, int | None]:
    """Class name ("Tumor: Positive"), colour and alpha of a ``classification`` in any form that QuPath wrote."""
    if isinstance(value, str):
        return (value.strip() or None), None, None
    if not isinstance(value, Mapping):
        return None, None, None
    color, alpha = parse_color(value.get("color", value.get("colorRGB")))
    names = value.get("names")
    if isinstance(names, list):
        parts = [str(n).strip() for n in names if n is not None and str(n).strip()]
    else:
        parts = []
        level: Any = value
        # The oldest form nests the parents: {"name": "Positive", "parentClass": {"name": "Tumor"}}.
        while isinstance(level, Mapping) and len(parts) < 32:
            name = level.get("name")
            if isinstance(name, str | int | float) and str(name).strip():
                parts.insert(0, str(name).strip())
            level = level.get("parentClass")
    return (": ".join(parts) or None), color, alpha


def classification(class_name: str, color: RGB | None, alpha: int | None, role: Role) -> dict[str, Any]:
    """The ``classification`` object: ``name`` or ``names``, and always ``color``."""
    names = class_names(class_name)
    rgb: list[int] = list(color or default_color(class_name, role))
    if alpha is not None:
        rgb.append(alpha)
    entry: dict[str, Any] = {"name": names[0]} if len(names) == 1 else {"names": names}
    entry["color"] = rgb
    return entry
