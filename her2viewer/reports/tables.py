"""Tables for other programs: one line for each cell or patch, streamed, so that a million cells are no burden."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.cases.atomic import StorageError, atomic_file
from her2viewer.domain.evidence import NOT_SCORED, CellTable, ClassMap
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.domain.reviewed import MAGNIFICATION, ReviewedMap
from her2viewer.reports.model import ReportError
from her2viewer.scoring.cell_clusters import ClusterSearch

_CHUNK = 50_000
_REVIEWED = f"looked_at_{MAGNIFICATION:.0f}x_or_more"


def write_cells_csv(
    path: Path,
    result: Result,
    region: Region,
    pixel_size: PixelSize,
    reviewed: ReviewedMap | None = None,
    *,
    search: ClusterSearch | None = None,
) -> int:
    """Write the cells of a result, or its patches where it has no cells; returns how many lines.

    With ``reviewed``, a last column says which of them lie where somebody looked closely; with ``search`` two say
    which cells belong to which cluster.

    Raises:
        ReportError: there are none, or the file cannot be written.
    """
    for item in result.evidence:
        if isinstance(item, CellTable):
            return write_cells(item, pixel_size, path, region, reviewed, search=search)
    for item in result.evidence:
        if isinstance(item, ClassMap) and item.scheme.counted:
            return write_patches(item, pixel_size, path, region, reviewed)
    raise ReportError("This scorer lists neither cells nor patches, so there is no table to write.")


def write_cells(
    cells: CellTable,
    pixel_size: PixelSize,
    path: Path,
    region: Region | None = None,
    reviewed: ReviewedMap | None = None,
    *,
    search: ClusterSearch | None = None,
) -> int:
    """Write one line for each cell; returns how many.

    Columns: x_px, y_px (level 0), x_um, y_um, class, her2 (0 to 3, -1 not tumour), the features with their unit in
    the heading, the probability of each class where the scorer gives one, and, where the reader corrected cells,
    scorer_class: what the scorer had said of a cell whose class is the reader's, else nothing.

    Args:
        cells: the table.
        pixel_size: for the um columns.
        path: the file; an existing one is replaced only by a complete one.
        region: only cells with their centre in it; all cells where None.
        reviewed: adds a column, 1 where the place was looked at closely, else 0.
        search: adds cluster, the number of the cell's cluster (1 for the largest) or nothing, and cluster_of, which
            says what was taken for one.

    Raises:
        ReportError: it cannot be written; the sentence says why and what to do.
    """
    numbers = None if search is None else search.numbers(cells)
    heading = ["x_px", "y_px", "x_um", "y_um", "class", "her2"]
    for name in cells.features:
        unit = cells.feature_units.get(name, "")
        heading.append(f"{name} ({unit})" if unit else name)
    if cells.probabilities is not None:
        heading += [f"p({name})" for name in cells.scheme.names]
    if cells.scorer_classes is not None:
        heading.append("scorer_class")
    if search is not None:
        heading += ["cluster", "cluster_of"]
    if reviewed is not None:
        heading.append(_REVIEWED)

    def chunks() -> Iterator[list[Sequence[Any]]]:
        names = np.asarray(cells.scheme.names, dtype=object)
        her2 = np.asarray(cells.scheme.her2)
        before = np.full(NOT_SCORED + 1, "", dtype=object)
        before[: len(names)] = names
        for start in range(0, len(cells), _CHUNK):
            part = slice(start, start + _CHUNK)
            x, y = cells.x[part].astype(np.float64), cells.y[part].astype(np.float64)
            keep = np.ones(len(x), dtype=bool) if region is None else region.contains_points(x, y)
            x, y, codes = x[keep], y[keep], cells.classes[part][keep]
            columns: list[NDArray[Any]] = [
                np.round(x, 2),
                np.round(y, 2),
                np.round(x * pixel_size.x_um, 3),
                np.round(y * pixel_size.y_um, 3),
                names[codes],
                her2[codes],
            ]
            columns += [_short(v[part][keep]) for v in cells.features.values()]
            if cells.probabilities is not None:
                columns += list(_short(cells.probabilities[part][keep]).T)
            if cells.scorer_classes is not None:
                columns.append(before[cells.scorer_classes[part][keep]])
            if numbers is not None and search is not None:
                clustered = numbers[part][keep].astype(object)
                columns.append(np.where(clustered > 0, clustered, ""))
                columns.append(np.where(clustered > 0, search.words, "").astype(object))
            if reviewed is not None:
                columns.append(reviewed.at(x, y).astype(np.uint8))
            yield [c.tolist() for c in columns]

    return _write(path, heading, chunks())


def write_patches(
    patches: ClassMap,
    pixel_size: PixelSize,
    path: Path,
    region: Region | None = None,
    reviewed: ReviewedMap | None = None,
) -> int:
    """Write one line for each scored patch; returns how many. Columns as for cells, and the tumour fraction.

    Raises:
        ReportError: it cannot be written; the sentence says why and what to do.
    """
    heading = ["x_px", "y_px", "side_px", "x_um", "y_um", "class", "her2", "tumour_fraction"]
    rows, columns = np.nonzero(patches.shown)
    gx, gy = patches.grid.centres()
    x, y = gx[rows, columns], gy[rows, columns]
    keep = np.ones(len(x), dtype=bool) if region is None else region.contains_points(x, y)
    rows, columns, x, y = rows[keep], columns[keep], x[keep], y[keep]
    codes = patches.classes[rows, columns]
    values: list[NDArray[Any]] = [
        np.round(x, 2),
        np.round(y, 2),
        np.full(len(x), patches.grid.step),
        np.round(x * pixel_size.x_um, 3),
        np.round(y * pixel_size.y_um, 3),
        np.asarray(patches.scheme.names, dtype=object)[codes],
        np.asarray(patches.scheme.her2)[codes],
        _short(patches.weight[rows, columns]),
    ]
    if patches.probabilities is not None:
        heading += [f"p({name})" for name in patches.scheme.names]
        values += list(_short(patches.probabilities[rows, columns]).T)
    if reviewed is not None:
        heading.append(_REVIEWED)
        values.append(reviewed.at(x, y).astype(np.uint8))
    return _write(path, heading, iter([[v.tolist() for v in values]]))


def _short(values: NDArray[Any]) -> NDArray[np.float64]:
    """float32 as float64 without the digits that it never had."""
    return np.asarray(np.round(values.astype(np.float64), 5), dtype=np.float64)


def _write(path: Path, heading: list[str], chunks: Iterator[list[Sequence[Any]]]) -> int:
    count = 0
    try:
        with atomic_file(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            writer = csv.writer(text)
            writer.writerow(heading)
            for columns in chunks:
                count += len(columns[0])
                writer.writerows(zip(*columns, strict=True))
            # The file below is closed by its owner, once it is on the disk.
            text.flush()
            text.detach()
    except StorageError as error:
        raise ReportError(str(error)) from error
    return count
