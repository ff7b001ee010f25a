"""What a phantom shall show: a recipe, read from TOML, each mistake in it told in one sentence."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from her2viewer.resources import resource_path

ORGANS = ("breast", "gastric")
LAYOUTS = ("resection", "biopsy", "core")
GROWTHS = ("nests", "cords", "files", "glands", "sheets")
STAINS = ("ihc", "he")

_RANGES: dict[str, tuple[float, float]] = {
    "grade": (1, 3), "coverage": (0.05, 2), "in_situ": (0, 1), "benign": (0, 1), "fat": (0, 1), "lymphocytes": (0, 1),
    "necrosis": (0, 1), "vessels": (0, 1), "cell_um": (7, 16), "clusters": (0, 2), "mosaic": (0, 2),
    "lateral": (0, 1), "mitoses": (0, 20), "mucin": (0, 1), "signet": (0, 1),
    "cytoplasm": (0, 4), "membrane": (0.2, 3), "in_situ_class": (0, 3), "benign_stained": (0, 1), "folds": (0, 20),
    "pen": (0, 20), "dust": (0, 500), "bubbles": (0, 20), "blur": (0, 20),
}  # fmt: skip
_CHOICES = {"organ": ORGANS, "layout": LAYOUTS}


class RecipeError(ValueError):
    """A recipe cannot be used. ``str()`` is a sentence for the user: what is wrong, what to do."""


@dataclass(frozen=True)
class Tissue:
    """What is in the section. Amounts without a unit go from 0 (none) to 1 (as much as there ever is)."""

    organ: str = "breast"
    layout: str = "resection"
    grade: int = 2
    growth: tuple[str, str] = ("nests", "cords")
    coverage: float = 0.6
    """Part of the section that carcinoma occupies, roughly."""
    in_situ: float = 0.0
    benign: float = 0.0
    fat: float = 0.0
    lymphocytes: float = 0.3
    necrosis: float = 0.0
    vessels: float = 0.5
    mitoses: float = 1.0
    """How many of the invasive cells divide, against what is usual for the grade."""
    mucin: float = 0.0
    """Pools of mucin within the carcinoma, in which groups of its cells float."""
    signet: float = 0.0
    """Areas in which carcinoma grows as loose signet-ring cells."""
    control: bool = False
    """Four control pellets (0, 1+, 2+, 3+ from the top) at the right edge."""
    cell_um: float = 10.0
    """Least distance between neighbouring tumour cells, um."""


@dataclass(frozen=True)
class Her2:
    """How the tumour is stained."""

    shares: tuple[float, float, float, float] = (40.0, 20.0, 20.0, 20.0)
    """% of the invasive cells in the ROI: 0, 1+, 2+, 3+."""
    clusters: float = 0.5
    """Weight of areas of about 0.2 mm that stain alike."""
    mosaic: float = 0.35
    """Weight of what differs from cell to cell."""
    lateral: float = 0.1
    """Share of the 2+ cells whose side towards the gland stays free (glands always do)."""
    cytoplasm: float = 1.0
    membrane: float = 1.0
    in_situ_class: float = 2.0
    benign_stained: float = 0.12
    """Share of benign cells that are 1+."""


@dataclass(frozen=True)
class Artefacts:
    """How many of each."""

    folds: int = 0
    pen: int = 0
    dust: int = 0
    bubbles: int = 0
    blur: int = 0


@dataclass(frozen=True)
class Recipe:
    """Everything about a phantom but its size, seed, scanner and lab."""

    name: str = "recipe"
    tissue: Tissue = field(default_factory=Tissue)
    her2: Her2 = field(default_factory=Her2)
    artefacts: Artefacts = field(default_factory=Artefacts)

    def with_shares(self, shares: tuple[float, float, float, float]) -> Recipe:
        """The same tissue with other shares."""
        return replace(self, her2=replace(self.her2, shares=shares))

    def to_toml(self) -> str:
        """The recipe as TOML that ``read_recipe`` reads again."""
        lines = []
        for section in ("tissue", "her2", "artefacts"):
            lines.append(f"[{section}]")
            part = getattr(self, section)
            for f in fields(part):
                value = getattr(part, f.name)
                lines.append(f"{f.name} = {_text(f.name, value)}")
        return "\n".join(lines) + "\n"


def _text(name: str, value: Any) -> str:
    if name == "shares":
        return '"' + ", ".join(f"{label} {share:g}" for label, share in zip(_LABELS, value, strict=True)) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{v}"' for v in value) + "]"
    return f"{value:g}"


_LABELS = ("0", "1+", "2+", "3+")


def parse_shares(text: str) -> tuple[float, float, float, float]:
    """Shares from "3+ 11, 2+ 9, 1+ 9" (%); what is missing to 100 falls to 0.

    Raises:
        RecipeError: not of that form, or more than 100 %.
    """
    shares: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        found = re.fullmatch(r"(0|[123]\+)\s*[:=]?\s*(\d+(?:\.\d+)?)\s*%?", part)
        if not found:
            raise RecipeError(
                f'"{part}" is no share of a class; write shares like "3+ 11, 2+ 9, 1+ 9", in per cent of the cells.'
            )
        if found[1] in shares:
            raise RecipeError(f"Class {found[1]} has two shares; give each class once.")
        shares[found[1]] = float(found[2])
    total = sum(shares.values())
    if total > 100.0 + 1e-9 or ("0" in shares and abs(total - 100.0) > 1e-6):
        raise RecipeError(f"The shares add up to {total:g} %; together they must be 100 %, and 0 may be left out.")
    shares.setdefault("0", 100.0 - total)
    one, two, three = (shares.get(label, 0.0) for label in _LABELS[1:])
    return (shares["0"], one, two, three)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the program."""
    return sorted(path.stem for path in resource_path("phantom", "recipes").glob("*.toml"))


def read_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a TOML file.

    Raises:
        RecipeError: there is no such recipe, or it holds a mistake.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in recipe_names():
            close = difflib.get_close_matches(name, recipe_names(), n=1)
            hint = (
                f"did you mean {close[0]}?"
                if close
                else f"there are {', '.join(recipe_names())}, or give a .toml file."
            )
            raise RecipeError(f"There is no recipe {name}; {hint}")
        path = resource_path("phantom", "recipes", f"{name}.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise RecipeError(f"The recipe {path} cannot be read: {reason}.") from error
    return parse_recipe(text, path.stem)


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """A recipe from TOML text.

    Raises:
        RecipeError: it holds a mistake.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {name} is no valid TOML: {error}.") from error
    known = {"tissue": Tissue, "her2": Her2, "artefacts": Artefacts}
    for section, values in data.items():
        if section not in known:
            raise RecipeError(f"The recipe {name} has a section [{section}]; there are only {', '.join(known)}.")
        if not isinstance(values, Mapping):
            raise RecipeError(f"In the recipe {name}, {section} must be a section, [{section}].")
    parts = {section: _part(kind, data.get(section, {}), name, section) for section, kind in known.items()}
    return Recipe(name, **parts)


T = TypeVar("T", Tissue, Her2, Artefacts)


def _part(kind: type[Any], values: Mapping[str, Any], recipe: str, section: str) -> Any:
    if not is_dataclass(kind):
        raise TypeError(kind)
    defaults = {f.name: getattr(kind(), f.name) for f in fields(kind)}
    read: dict[str, Any] = {}
    for key, value in values.items():
        where = f"The entry {section}.{key} of the recipe {recipe}"
        if key not in defaults:
            close = difflib.get_close_matches(key, defaults, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(defaults)}."
            raise RecipeError(f"{where} is not known{hint}")
        read[key] = _value(key, value, defaults[key], where)
    return kind(**read)


def _value(key: str, value: Any, default: Any, where: str) -> Any:
    if key == "shares":
        if not isinstance(value, str):
            raise RecipeError(f'{where} must be text like "3+ 11, 2+ 9, 1+ 9".')
        return parse_shares(value)
    if key == "growth":
        both = [value, value] if isinstance(value, str) else value
        if not isinstance(both, list) or len(both) not in (1, 2) or not all(g in GROWTHS for g in both):
            raise RecipeError(f"{where} must be one or two of {', '.join(GROWTHS)}.")
        return (both[0], both[-1])
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise RecipeError(f"{where} must be one of {', '.join(_CHOICES[key])}, not {value!r}.")
        return value
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise RecipeError(f"{where} must be true or false, not {value!r}.")
        return value
    low, high = _RANGES[key]
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise RecipeError(f"{where} must be a {kind} from {low:g} to {high:g}, not {value!r}.")
    return value if whole else float(value)
