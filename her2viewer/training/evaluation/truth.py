"""What is known of a slide of a set: its score, its shares, its cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import Shares
from her2viewer.guidelines.engine import decide
from her2viewer.guidelines.profiles import Profile
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.truth import nuclei_of

NOT_TUMOUR = 4
UNKNOWN_HER2 = 255
Percent = tuple[float, float, float, float]


class TruthError(Exception):
    """What is known of a slide cannot be read; ``str()`` is a sentence."""


@dataclass(frozen=True)
class TrueCells:
    """Cells of a slide, n of them, level-0 px."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    classes: NDArray[np.uint8]
    """0 to 3, ``NOT_TUMOUR`` for any other cell."""
    shown: NDArray[np.bool_]
    """Whether the section has the nucleus; a cell without it need not be found, and may be."""


@dataclass(frozen=True)
class Truth:
    """Everything that is known; None is "not known"."""

    score: int | None
    shares: Percent | None
    cells: TrueCells | None


def truth_of(entry: SlideEntry, profile: Profile) -> Truth:
    """Truth of one slide: the manifest first, then the phantom's truth file, then what the guideline says of shares.

    Raises:
        TruthError: a file of the entry cannot be read.
    """
    score, shares, cells = entry.score_index, entry.shares, None
    if entry.truth is not None:
        written_score, written_shares, cells = _phantom(entry.truth)
        score = written_score if score is None else score
        shares = written_shares if shares is None else shares
    if cells is None and entry.cells is not None:
        cells = _labelled(entry.cells)
    if score is None and shares is not None:
        score = score_of(Shares.from_percent(shares), profile)
    return Truth(score, shares, cells)


def score_of(shares: Shares, profile: Profile) -> int | None:
    """0 to 3 as the guideline says of shares that a person counted; None where it gives no score."""
    decision = decide(profile, shares, by_program=False)
    return int(decision.score[0]) if decision.outcome == "score" and decision.score else None


def _phantom(path: Path) -> tuple[int | None, Percent | None, TrueCells]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if _text(file.attrs.get("format")) != "her2viewer-truth":
                raise TruthError(f"{path.name} is no truth file of a phantom slide.")
            label = _text(file.attrs.get("score", ""))
            score = HER2_LABELS.index(label) if label in HER2_LABELS else None
            percent = [float(v) for v in file.attrs["shares_by_cell"]]
            group = file["cells"]
            her2 = group["her2"][:]
            x, y, shown = nuclei_of(group)
            cells = TrueCells(x, y, np.where(her2 == UNKNOWN_HER2, NOT_TUMOUR, her2).astype(np.uint8), shown)
    except (OSError, KeyError, ValueError) as error:
        raise TruthError(f"The truth file {path.name} cannot be read ({error}). Make the phantom again.") from error
    shares = (percent[0], percent[1], percent[2], percent[3]) if np.isfinite(percent).all() else None
    return score, shares, cells


def _labelled(path: Path) -> TrueCells:
    """Cells of a CSV with the columns x, y, class (0, 1+, 2+, 3+, anything else is no tumour), or of a GeoJSON."""
    rows = _csv_cells(path) if path.suffix.lower() == ".csv" else _geojson_cells(path)
    if not rows:
        raise TruthError(f"{path.name} holds no cells; it needs x, y and class of each.")
    classes = [HER2_LABELS.index(name) if name in HER2_LABELS else NOT_TUMOUR for _, _, name in rows]
    return TrueCells(
        np.array([r[0] for r in rows], np.float64),
        np.array([r[1] for r in rows], np.float64),
        np.array(classes, "u1"),
        np.ones(len(rows), bool),
    )


def _csv_cells(path: Path) -> list[tuple[float, float, str]]:
    import csv

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {n.strip().lower(): n for n in reader.fieldnames or ()}
            missing = [n for n in ("x", "y", "class") if n not in names]
            if missing:
                raise TruthError(f"{path.name} lacks the column {', '.join(missing)}; it needs x, y and class.")
            return [
                (float(row[names["x"]]), float(row[names["y"]]), _label(row[names["class"]] or "")) for row in reader
            ]
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise TruthError(f"The cells of {path.name} cannot be read ({error}).") from error


def _geojson_cells(path: Path) -> list[tuple[float, float, str]]:
    import json

    from shapely.geometry import shape

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        features: list[dict[str, Any]] = data["features"] if isinstance(data, dict) else data
        found = []
        for feature in features:
            point = shape(feature["geometry"]).centroid
            kind = (feature.get("properties") or {}).get("classification") or {}
            name = kind.get("name", "") if isinstance(kind, dict) else str(kind)
            # "Tumor: 2+" as QuPath writes it.
            found.append((point.x, point.y, _label(name.split(":")[-1])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TruthError(f"The cells of {path.name} cannot be read ({error}).") from error
    return found


def _label(name: str) -> str:
    text = name.strip()
    if text.lower() == "negative":
        return "0"
    return f"{text}+" if text in ("1", "2", "3") else text


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
