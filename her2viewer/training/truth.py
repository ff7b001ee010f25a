"""Labelled cells of a slide: from the truth of a phantom, from CSV, from GeoJSON (QuPath)."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.training.recipe import TrainingError

if TYPE_CHECKING:
    from her2viewer.training.sources import TruthMask

TRUTH_FORMAT = "her2viewer-truth"
TRUTH_VERSION = 1
NO_HER2 = 255
X_COLUMNS = ("x", "x_px", "centroid x px", "centroid_x")
Y_COLUMNS = ("y", "y_px", "centroid y px", "centroid_y")
CLASS_COLUMNS = ("class", "label", "kind", "classification", "phenotype")


@dataclass(frozen=True)
class LabelledCells:
    """n cells with the names that people or the phantom gave them."""

    x: NDArray[np.float64]
    """(n,) level-0 px."""
    y: NDArray[np.float64]
    name: NDArray[np.int32]
    """(n,) index into ``names``."""
    names: tuple[str, ...]
    """Invasive tumour cells are "tumour 0" to "tumour 3+"."""


def read_cells(truth: Path | None, cells: Path | None) -> LabelledCells | None:
    """The cells of the truth file, else of the file of labelled cells; None where there is neither.

    Raises:
        TrainingError: a file cannot be read.
    """
    if truth is not None:
        return _of_truth(truth)
    if cells is None:
        return None
    return _of_csv(cells) if cells.suffix.lower() == ".csv" else _of_geojson(cells)


def read_mask(path: Path, name: str) -> TruthMask:
    """A mask of a truth file.

    Raises:
        TrainingError: the file is no truth file, or lacks the mask.
    """
    from her2viewer.training.sources import TruthMask

    with _open_truth(path) as file:
        try:
            data = file["masks"][name]
            legend = {int(code): str(known) for code, known in json.loads(data.attrs["legend"]).items()}
            return TruthMask(np.asarray(data[...], np.uint8), float(data.attrs["step"]), legend)
        except (KeyError, ValueError, TypeError) as error:
            raise TrainingError(f"{path.name} lacks the mask {name}; make the phantom anew.") from error


def nuclei_of(cells: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Places of the cells of a truth file, and which of them the section shows the nucleus of, each (n,).

    A place (level-0 px) is the centre of the nucleus, which scorers give too; of a cell whose nucleus the section has
    missed, and in files that do not tell nuclei, the middle of the cell.

    Args:
        cells: the group ``cells`` of an open truth file.

    Raises:
        KeyError: a column is missing.
    """
    x, y = (np.asarray(cells[key][...], np.float64) for key in ("x", "y"))
    shown = np.ones(len(x), bool)
    if "nucleus_x" in cells:
        at = [np.asarray(cells[f"nucleus_{key}"][...], np.float64) for key in ("x", "y")]
        shown = ~np.isnan(at[0])
        x, y = (np.where(shown, n, middle) for n, middle in zip(at, (x, y), strict=True))
    return x, y, shown


def _open_truth(path: Path) -> Any:
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise TrainingError(f"{path.name} is no HDF5 file or a damaged one; make or copy it again.") from error
    kind, version = file.attrs.get("format"), file.attrs.get("version")
    if kind != TRUTH_FORMAT or version != TRUTH_VERSION:
        file.close()
        raise TrainingError(
            f"{path.name} is no truth file of version {TRUTH_VERSION} (format {kind!r}, version {version!r})."
        )
    return file


def _of_truth(path: Path) -> LabelledCells:
    with _open_truth(path) as file:
        try:
            cells = file["cells"]
            kinds = [str(kind) for kind in json.loads(cells.attrs["kinds"])]
            x, y, _ = nuclei_of(cells)
            kind, her2 = (np.asarray(cells[key][...], np.int32) for key in ("kind", "her2"))
        except (KeyError, ValueError, TypeError) as error:
            raise TrainingError(f"{path.name} lacks its cells ({error}); make the phantom anew.") from error
    names = (*kinds, *(f"tumour {label}" for label in HER2_LABELS))
    invasive = kinds.index("invasive") if "invasive" in kinds else -1
    tumour = (kind == invasive) & (her2 != NO_HER2)
    return LabelledCells(x, y, np.where(tumour, len(kinds) + her2, kind).astype(np.int32), names)


def _of_csv(path: Path) -> LabelledCells:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            sample = text.read(4096)
            text.seek(0)
            separator = max(",;\t", key=sample.partition("\n")[0].count)
            rows = csv.reader((line for line in text if not line.startswith("#")), delimiter=separator)
            header = [column.strip().lower() for column in next(rows, [])]
            places = [_column(header, wanted, path) for wanted in (X_COLUMNS, Y_COLUMNS, CLASS_COLUMNS)]
            found = [(float(row[places[0]]), float(row[places[1]]), row[places[2]].strip()) for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path.name} cannot be read: {error}.") from error
    except (ValueError, IndexError) as error:
        raise TrainingError(
            f"{path.name} has a row that is no cell ({error}); every row needs x, y, class."
        ) from error
    return _labelled(found)


def _column(header: list[str], wanted: tuple[str, ...], path: Path) -> int:
    for name in wanted:
        if name in header:
            return header.index(name)
    raise TrainingError(f"{path.name} has no column {wanted[0]}; its first row must name x, y and class.")


def _of_geojson(path: Path) -> LabelledCells:
    from shapely.geometry import shape

    from her2viewer.cases.geojson.classes import parse_classification
    from her2viewer.cases.geojson.files import iter_features

    found = []
    try:
        with path.open(encoding="utf-8-sig") as text:
            for feature in iter_features(text):
                properties = feature.get("properties") or {}
                name, _, _ = parse_classification(properties.get("classification"))
                with suppress(KeyError, ValueError, TypeError):
                    centre = shape(feature.get("nucleusGeometry") or feature["geometry"]).centroid
                    if name:
                        found.append((float(centre.x), float(centre.y), str(name)))
    except (OSError, ValueError, UnicodeDecodeError, AttributeError) as error:
        raise TrainingError(f"{path.name} is no GeoJSON of cells or a damaged one ({error}).") from error
    return _labelled(found)


def _labelled(found: list[tuple[float, float, str]]) -> LabelledCells:
    names = tuple(dict.fromkeys(name for _, _, name in found))
    index = {name: k for k, name in enumerate(names)}
    return LabelledCells(
        np.array([x for x, _, _ in found], np.float64),
        np.array([y for _, y, _ in found], np.float64),
        np.array([index[name] for _, _, name in found], np.int32),
        names,
    )
