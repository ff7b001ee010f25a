"""A report's values from the open slide, its annotations, a result and the guideline's answer."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

import her2viewer
from her2viewer.domain.annotation import AnnotationSet, Role
from her2viewer.domain.cell_corrections import NO_CELL_CHANGE, NO_CELL_CORRECTIONS, CellChange, CellCorrections
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.corrections import NO_CHANGE, NO_CORRECTIONS, Corrections, MaskChange
from her2viewer.domain.evidence import CellTable, ClassMap
from her2viewer.domain.palette import DEFAULT_PALETTE, class_colors
from her2viewer.domain.pixelsize import PixelSize, mm2_number
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.domain.reviewed import MAGNIFICATION, ReviewedMap
from her2viewer.guidelines.decision import Decision
from her2viewer.reports.fields import FieldChoice, choose_fields, control_field, on_slide
from her2viewer.reports.model import (
    Areas,
    FieldPicture,
    LegendEntry,
    Overview,
    OwnAnswer,
    ReportData,
    ReportError,
    Reviewed,
)
from her2viewer.reports.pictures import by_weight, field_pictures, overview_picture, region_picture
from her2viewer.reports.regions import regions_apart
from her2viewer.scoring.aggregate import SurfaceCounter
from her2viewer.slides.slide import Slide, SlideError

_LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "openslide-python",
    "openslide-bin",
    "tifffile",
    "reportlab",
    "numba",
)


def build_report(  # noqa: PLR0917
    slide: Slide,
    pixel_size: PixelSize,
    annotations: AnnotationSet,
    result: Result | None,
    decision: Decision | None,
    others: tuple[Decision, ...] = (),
    case_fields: Mapping[str, str] | None = None,
    *,
    own: OwnAnswer | None = None,
    scorer_title: str = "",
    palette: str = "",
    created: datetime | None = None,
    reviewed: ReviewedMap | None = None,
    corrections: Corrections = NO_CORRECTIONS,
    change: MaskChange = NO_CHANGE,
    cell_corrections: CellCorrections = NO_CELL_CORRECTIONS,
    cell_change: CellChange = NO_CELL_CHANGE,
) -> ReportData:
    """Everything that a report says. Reads the slide, so it belongs into a worker thread.

    Args:
        slide: the open slide.
        pixel_size: confirmed pixel size.
        annotations: outlines as they are now.
        result: of the scorer, or None where nothing was scored.
        decision: answer under the chosen profile for ``annotations.region()``.
        others: answers under the other profiles.
        case_fields: label and value, in the order of printing.
        own: what the pathologist said; empty leaves room on the paper.
        scorer_title: how the scorer is called; its id where empty.
        palette: id in ``domain.palette``; the default one where empty.
        created: time of the report; now where None.
        reviewed: which places were looked at closely; None where nobody knows.
        corrections: of the tumour mask by the reader; the evidence of ``result`` follows them already.
        change: how much of the mask they changed in the region.
        cell_corrections: of single cells by the reader; the evidence of ``result`` follows them already.
        cell_change: how many cells of the region they changed.

    Raises:
        ReportError: the slide can no longer be read.
    """
    palette = palette or DEFAULT_PALETTE
    # An outline may reach beyond the slide; no area, no field and no cell lies there.
    whole = Region.rectangle(0, 0, slide.width, slide.height)
    region = annotations.region().intersection(whole)
    mpp = pixel_size.mpp
    evidence = () if result is None else result.evidence
    control = control_field(annotations.control_region(), mpp)
    # The control tissue takes the place of the third field.
    choices = choose_fields(evidence, region, mpp, decision, 3 if control is None else 2)
    scored = len(choices)
    if control is not None:
        choices = (*choices, control)
    choices = tuple(on_slide(choice, slide.width, slide.height) for choice in choices)
    try:
        image, um_per_px = overview_picture(slide, annotations, choices, mpp)
        close = region_picture(slide, annotations, evidence, mpp=mpp, palette=palette)
        fields = tuple(
            _field(slide, choice, result if number < scored else None, region, pixel_size=pixel_size, palette=palette)
            for number, choice in enumerate(choices)
        )
    except SlideError as error:
        raise ReportError(f"The pictures of the report cannot be made: {error}") from error
    now = created or datetime.now().astimezone()
    return ReportData(
        case=dict(case_fields or {}),
        slide_name=slide.path.name,
        slide_format=slide.format,
        slide_identity=slide.identity,
        slide_size_px=(slide.width, slide.height),
        pixel_size=pixel_size,
        areas=_areas(annotations, region, result, pixel_size),
        result=result,
        decision=decision,
        others=others,
        own=own or OwnAnswer(),
        scorer_title=scorer_title or ("" if result is None else result.provenance.scorer),
        overview=Overview(image, um_per_px),
        region=None if close is None else Overview(*close),
        fields=fields,
        regions=regions_apart(annotations, result, pixel_size, whole, reviewed),
        reviewed=_reviewed(reviewed, region),
        corrections=corrections,
        change=change,
        cell_corrections=cell_corrections,
        cell_change=cell_change,
        legend=_legend(result, region, pixel_size, palette),
        palette=palette,
        created=now.isoformat(timespec="seconds"),
        versions=program_versions(),
    )


def program_versions() -> dict[str, str]:
    """Versions of the program, of Python and of the libraries that touch numbers or pixels."""
    out = {"her2viewer": her2viewer.__version__, "Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    out["system"] = f"{platform.system()} {platform.machine()}"
    return out


def _reviewed(known: ReviewedMap | None, region: Region) -> Reviewed | None:
    share = None if known is None else known.share(region)
    return None if share is None else Reviewed(share, MAGNIFICATION)


def _areas(annotations: AnnotationSet, region: Region, result: Result | None, pixel_size: PixelSize) -> Areas:
    outlined = Region.of(a.geometry for a in annotations.with_role(Role.ROI))
    excluded = Region.of(a.geometry for a in annotations.with_role(Role.EXCLUDE))
    return Areas(
        roi=region.area_mm2(pixel_size),
        excluded=excluded.intersection(outlined).area_mm2(pixel_size),
        control=annotations.control_region().area_mm2(pixel_size),
        scored=0.0 if result is None else result.scored.intersection(region).area_mm2(pixel_size),
    )


def _field(
    slide: Slide,
    choice: FieldChoice,
    result: Result | None,
    region: Region,
    *,
    pixel_size: PixelSize,
    palette: str,
) -> FieldPicture:
    mpp = pixel_size.mpp
    evidence = () if result is None else result.evidence
    plain, overlay, um_per_px = field_pictures(slide, choice, evidence, region, mpp=mpp, palette=palette)
    x, y = choice.x - choice.side / 2, choice.y - choice.side / 2
    box = Region.rectangle(x, y, choice.side, choice.side).intersection(region)
    parts = [] if box.empty else [_composition(result, box, pixel_size)]
    if result is not None and overlay is None:
        parts.append("no evidence here")
    side = choice.side * mpp
    parts.append(f"{side:.0f} × {side:.0f} µm at {um_per_px:.3g} µm/px ({10 / um_per_px:.3g}x)")
    parts.append(f"centre x {choice.x * mpp / 1000:.2f}, y {choice.y * mpp / 1000:.2f} mm")
    return FieldPicture(choice.title, "\n".join(p for p in parts if p), x, y, choice.side, um_per_px, plain, overlay)


def _composition(result: Result | None, box: Region, pixel_size: PixelSize) -> str:
    """The classes of a field in words."""
    for item in () if result is None else result.evidence:
        if isinstance(item, CellTable):
            inside = box.contains_points(item.x, item.y)
            her2 = np.asarray(item.scheme.her2)[item.classes[inside]]
            counts = [int((her2 == c).sum()) for c in range(4)]
            total = sum(counts)
            text = f"{total:,} tumour cells"
            if total:
                text += ": " + ", ".join(
                    f"{label}:\u00a0{100 * n / total:.0f}\u00a0%"
                    for label, n in zip(HER2_LABELS, counts, strict=True)
                )
            return text
        if isinstance(item, ClassMap) and item.scheme.counted:
            shares = SurfaceCounter(item, pixel_size).shares(box)
            text = f"{mm2_number(shares.total)} mm² of tumour surface"
            if shares.total > 0:
                text += ": " + ", ".join(
                    f"{label}:\u00a0{percent:.0f}\u00a0%"
                    for label, percent in zip(HER2_LABELS, shares.percent, strict=True)
                )
            return text
    return ""


def _legend(result: Result | None, region: Region, pixel_size: PixelSize, palette: str) -> tuple[LegendEntry, ...]:
    for item in () if result is None else by_weight(result.evidence):
        if isinstance(item, CellTable):
            inside = region.contains_points(item.x, item.y)
            amounts = np.bincount(item.classes[inside], minlength=len(item.scheme.names)).astype(np.float64)
            unit = "cells"
        elif isinstance(item, ClassMap):
            gx, gy = item.grid.centres()
            inside = region.contains_points(gx.ravel(), gy.ravel()).reshape(item.grid.shape)
            inside &= item.shown
            patch = pixel_size.mm2(item.grid.step**2)
            weights = item.weight[inside].astype(np.float64)
            surface = np.bincount(item.classes[inside], weights, minlength=len(item.scheme.names))
            amounts = patch * surface.astype(np.float64)
            unit = "mm2"
        else:
            continue
        colors = class_colors(item.scheme, palette)
        return tuple(
            LegendEntry(name, (int(c[0]), int(c[1]), int(c[2])), float(amount), unit, her2)
            for name, c, amount, her2 in zip(item.scheme.names, colors, amounts, item.scheme.her2, strict=True)
        )
    return ()
