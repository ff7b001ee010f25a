"""How a phantom was stained and scanned: laboratories and scanners, read from the resources."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from her2viewer.phantom.recipe import RecipeError
from her2viewer.resources import resource_path

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Lab:
    """Stains of a laboratory; vectors are OD of red, green, blue of one unit."""

    name: str
    haematoxylin: Triple
    dab: Triple
    eosin: Triple
    blue: float
    brown: float
    pink: float
    cytoplasm: float
    stroma: float
    """OD of DAB that lies on all tissue."""


@dataclass(frozen=True)
class Scanner:
    """Optics, sensor and file of a scanner."""

    name: str
    mpp: float
    magnification: float
    glass: Triple
    noise: float
    """Standard deviation, grey levels."""
    blur: float
    """Sigma of the optics, um."""
    sharpen: float
    """Amount of an unsharp mask."""
    halo: float
    """Sigma of the unsharp mask, px."""
    quality: int
    subsampling: str
    factors: tuple[int, ...]


Look = TypeVar("Look", Lab, Scanner)


@cache
def labs() -> dict[str, Lab]:
    """All labs by name."""
    return {name: Lab(name, **_tuples(values)) for name, values in _read("labs").items()}


@cache
def scanners() -> dict[str, Scanner]:
    """All scanners by name."""
    return {name: Scanner(name, **_tuples(values)) for name, values in _read("scanners").items()}


def lab(name: str) -> Lab:
    """A lab.

    Raises:
        RecipeError: there is none of that name.
    """
    return _named(labs(), name, "lab")


def scanner(name: str) -> Scanner:
    """A scanner.

    Raises:
        RecipeError: there is none of that name.
    """
    return _named(scanners(), name, "scanner")


def _named(table: dict[str, Look], name: str, what: str) -> Look:
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(table)}."
    raise RecipeError(f"There is no {what} {name}; {hint}")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resource_path("phantom", f"{name}.toml").read_text(encoding="utf-8"))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
