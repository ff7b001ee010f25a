"""Cells that a reader corrected as a data set for ``her2viewer train``: an entry for each slide, added or renewed."""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.cases.atomic import StorageError, atomic_text
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.cell_corrections import CellCorrections
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.evidence import NOT_SCORED, CellTable
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.toml_text import toml_text
from her2viewer.training.dataset import FORMAT, VERSION, DataSetError

SET = "SET.toml"
NO_CELL_CLASS = "artefact"
"""A cell that the reader removed: something that a detection finds and that is none."""
_FEW = 5
"""With fewer slides than this none is held out: the sets for choosing and for measuring would be a slide each."""


@dataclass(frozen=True)
class CorrectedSlide:
    """One slide with what its reader said of cells."""

    path: Path
    identity: str
    pixel_size: PixelSize
    annotations: AnnotationSet
    corrections: CellCorrections
    table: CellTable | None = None
    """The cells of a scorer as corrected; needed for the cells that the reader left as they were."""
    fields: dict[str, str] = field(default_factory=dict)
    """Of the case: ``lab`` and ``case_id`` are kept, the latter so that no patient is in two splits."""


@dataclass(frozen=True)
class WrittenSet:
    """What was written."""

    manifest: Path
    id: str
    by_class: dict[str, int]
    """Cells by the name of their class."""
    outside: int
    """Corrected cells outside all regions: left out."""
    slides: int
    """In the set now."""


def write_corrected_set(folder: Path, slide: CorrectedSlide, *, whole_regions: bool = False) -> WrittenSet:
    """Add a slide to the data set in a folder, or put it in the place of its older entry.

    Writes ``SET.toml``, ``<id>.roi.geojson`` (the outlines) and ``<id>.cells.csv`` (x, y, class, who said it).

    Args:
        folder: made where there is none.
        slide: what is to be written.
        whole_regions: with a reader's correction all cells of an outlined region are labels, those that the reader
            left as they were with the scorer's class; else the corrected cells alone.

    Raises:
        DataSetError: there is nothing to write, or ``SET.toml`` in the folder is none that can be added to.
        StorageError: a file cannot be written.
    """
    folder = Path(folder)
    data = _present(folder)
    cells, outside = _labelled(slide, whole_regions)
    if not cells:
        raise DataSetError([_why_nothing(slide, outside)])
    entries: list[dict[str, Any]] = data.pop("slides", [])
    name = _id(slide, entries, folder)
    entry: dict[str, Any] = {"id": name, "slide": _path(slide.path, folder)}
    outlines = _outlines(slide.annotations)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror or error}.") from error
    if len(outlines):
        from her2viewer.cases.geojson import write_geojson

        entry["roi"] = f"{name}.roi.geojson"
        write_geojson(folder / entry["roi"], outlines)
    entry["cells"] = f"{name}.cells.csv"
    atomic_text(folder / entry["cells"], _csv(cells))
    if slide.pixel_size.source is PixelSizeSource.USER:
        entry["mpp"] = slide.pixel_size.mpp
    kept = (("lab", slide.fields.get("lab", "")), ("patient", slide.fields.get("case_id", "")))
    entry |= {key: text for key, text in kept if text}
    before = next((k for k, e in enumerate(entries) if e.get("id") == name), None)
    if before is None:
        entries.append(entry)
    else:
        # Score, split and whatever else somebody wrote stay.
        entries[before] = {**{k: v for k, v in entries[before].items() if k not in ("roi", "mpp")}, **entry}
    data["split"] = _split(data.get("split"), len(entries))
    text = toml_text(data) + "".join(f"\n[[slides]]\n{toml_text(e)}" for e in entries)
    atomic_text(folder / SET, text)
    by_class: dict[str, int] = {}
    for cell in cells:
        by_class[cell[2]] = by_class.get(cell[2], 0) + 1
    return WrittenSet(folder / SET, name, by_class, outside, len(entries))


Cell = tuple[float, float, str, str, str]
"""x, y (level-0 px), class, who said it, what the scorer had said."""


def _labelled(slide: CorrectedSlide, whole_regions: bool) -> tuple[list[Cell], int]:
    """The labelled cells inside the outlines, and how many corrected ones lie outside."""
    said = slide.corrections
    names = [*(_class_name(c.name, c.her2) for c in said.classes), NO_CELL_CLASS]
    net = slide.annotations.region()
    everywhere = net.empty and not len(slide.annotations.with_role(Role.ROI))
    inside = np.ones(len(said), dtype=bool) if everywhere else net.contains_points(said.x, said.y)
    before = _scorer_names(slide)
    cells: list[Cell] = []
    for k in np.flatnonzero(inside).tolist():
        place = (float(said.x[k]), float(said.y[k]))
        cells.append((*place, names[said.said[k]], "reader", before.get(place, "")))
    if whole_regions and slide.table is not None:
        cells += _unsaid(slide, slide.table)
    return cells, int((~inside).sum())


def _unsaid(slide: CorrectedSlide, table: CellTable) -> list[Cell]:
    """Cells that the reader left as they were, in regions in which something was corrected."""
    unsaid = np.ones(len(table), dtype=bool)
    if table.scorer_classes is not None:
        unsaid = table.scorer_classes == NOT_SCORED
    rois = slide.annotations.with_role(Role.ROI)
    looked_at = [a.geometry for a in rois if _corrected_in(slide.corrections, a)]
    where = Region.of(looked_at).intersection(slide.annotations.region()) if looked_at else None
    inside = _inside(table, where, everywhere=not rois) & unsaid
    names = [_class_name(n, h) for n, h in zip(table.scheme.names, table.scheme.her2, strict=True)]
    return [
        (float(x), float(y), names[code], "scorer", names[code])
        for x, y, code in zip(table.x[inside], table.y[inside], table.classes[inside].tolist(), strict=True)
    ]


def _inside(table: CellTable, where: Region | None, *, everywhere: bool) -> NDArray[np.bool_]:
    if where is None:
        return np.full(len(table), everywhere, dtype=bool)
    return where.contains_points(table.x, table.y)


def _corrected_in(corrections: CellCorrections, roi: Annotation) -> bool:
    return bool(Region.of((roi.geometry,)).contains_points(corrections.x, corrections.y).any())


def _scorer_names(slide: CorrectedSlide) -> dict[tuple[float, float], str]:
    table = slide.table
    if table is None or table.scorer_classes is None:
        return {}
    said = np.flatnonzero(table.scorer_classes != NOT_SCORED)
    names = [_class_name(n, h) for n, h in zip(table.scheme.names, table.scheme.her2, strict=True)]
    return {(float(table.x[k]), float(table.y[k])): names[table.scorer_classes[k]] for k in said.tolist()}


def _class_name(name: str, her2: int) -> str:
    return f"tumour {HER2_LABELS[her2]}" if her2 >= 0 else name


def _why_nothing(slide: CorrectedSlide, outside: int) -> str:
    if outside:
        return f"All {outside:,} corrected cells of {slide.path.name} lie outside the outlined region."
    return f"No cell of {slide.path.name} was corrected, so there is nothing to train on."


def _outlines(annotations: AnnotationSet) -> AnnotationSet:
    return AnnotationSet(tuple(a for a in annotations if a.role in (Role.ROI, Role.EXCLUDE)))


def _csv(cells: list[Cell]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("x", "y", "class", "by", "scorer_class"))
    rows.writerows((round(x, 3), round(y, 3), *rest) for x, y, *rest in cells)
    return text.getvalue()


def _present(folder: Path) -> dict[str, Any]:
    """The manifest that is there, or a new one."""
    path = folder / SET
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": "Corrected cells",
            "description": "Cells that readers corrected in the window",
        }
    except NotADirectoryError as error:
        raise DataSetError([f"{folder} is a file; name a folder for the data set."]) from error
    except OSError as error:
        raise DataSetError([f"{path} cannot be read: {error.strerror or error}."]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataSetError(
            [f"{path} is no data set that could be added to ({error}); choose another folder."]
        ) from error
    slides = data.get("slides", [])
    mine = data.get("format") == FORMAT and data.get("version") == VERSION
    if not mine or not isinstance(slides, list) or not all(isinstance(s, dict) for s in slides):
        raise DataSetError([f"{path} is no data set that could be added to; choose another folder."])
    return data


def _id(slide: CorrectedSlide, entries: list[dict[str, Any]], folder: Path) -> str:
    """The id of the entry of this slide file, or a new one."""
    target = slide.path.resolve()
    for entry in entries:
        if isinstance(entry.get("slide"), str) and (folder / entry["slide"]).resolve() == target:
            return str(entry.get("id"))
    base = "".join(c if c.isalnum() or c in "-_. " else "_" for c in slide.path.stem).strip() or "slide"
    taken = {str(entry.get("id")) for entry in entries}
    return base if base not in taken else f"{base}-{slide.identity[:8]}"


def _path(path: Path, folder: Path) -> str:
    path, folder = path.resolve(), folder.resolve()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _split(present: object, slides: int) -> dict[str, Any]:
    """No slide is held out of a few; of more the usual shares. What somebody chose stays."""
    few, usual = {"by": "patient", "validation": 0.0, "test": 0.0}, {"by": "patient", "validation": 0.2, "test": 0.2}
    if isinstance(present, dict) and present not in (few, usual):
        return present
    return few if slides < _FEW else usual
