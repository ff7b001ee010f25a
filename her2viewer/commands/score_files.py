"""What ``her2viewer score`` writes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.cases.atomic import StorageError, make_folder
from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError
from her2viewer.domain.evidence import CellTable
from her2viewer.reports.model import ReportError
from her2viewer.slides.slide import SlideError

if TYPE_CHECKING:
    from her2viewer.commands.score import Scored


def make_out_folder(folder: Path) -> None:
    """Make the folder and try to write into it.

    Raises:
        CommandError: with the exit code for it.
    """
    from her2viewer.cases.atomic import atomic_text

    probe = folder / "her2viewer-writes-here"
    try:
        make_folder(folder)
        atomic_text(probe, "")
        with suppress(OSError):
            probe.unlink()
    except StorageError as error:
        raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error


def write_all(scored: Scored, folder: Path) -> dict[str, str]:
    """Write case, report, JSON, GeoJSON and tables into a folder; returns their paths by what they are.

    Raises:
        CommandError: with the exit code for it.
    """
    try:
        return {kind: str(path) for kind, path in _write(scored, folder).items()}
    except (StorageError, ReportError) as error:
        code = exit_codes.SLIDE_UNREADABLE if isinstance(error.__cause__, SlideError) else exit_codes.CANNOT_WRITE
        raise CommandError(code, str(error)) from error


def _write(scored: Scored, folder: Path) -> dict[str, Path]:
    from her2viewer.cases.geojson import write_cells_geojson, write_geojson
    from her2viewer.commands.score_summary import measurements
    from her2viewer.reports.build import build_report
    from her2viewer.reports.json_report import write_json
    from her2viewer.reports.pdf import write_pdf
    from her2viewer.reports.tables import write_cells_csv

    region = scored.annotations.region()
    report = build_report(
        scored.slide,
        scored.pixel_size,
        scored.annotations,
        scored.result,
        scored.decision,
        scored.others,
        scored.printed_fields,
        scorer_title=scored.manifest.title,
    )
    written = {
        "report": folder / "report.pdf",
        "json": folder / "report.json",
        "annotations": folder / "annotations.geojson",
    }
    write_pdf(report, written["report"])
    write_json(report, written["json"])
    write_geojson(written["annotations"], scored.annotations, measurements=measurements(scored))
    for evidence in scored.result.evidence:
        if isinstance(evidence, CellTable):
            written["cells_geojson"] = folder / "cells.geojson.gz"
            inside = region.contains_points(evidence.x, evidence.y)
            write_cells_geojson(written["cells_geojson"], evidence.selected(inside))
            break
    if scored.result.evidence:
        written["table"] = folder / "cells.csv"
        write_cells_csv(written["table"], scored.result, region, scored.pixel_size)
    written["case"] = _write_case(scored, folder, [path.name for path in written.values()])
    return written


def _write_case(scored: Scored, folder: Path, names: list[str]) -> Path:
    from her2viewer.cases.case import Case
    from her2viewer.cases.places import SUFFIX
    from her2viewer.cases.store import CaseStore

    slide, result = scored.slide, scored.result
    path = Path(slide.path).absolute()
    with CaseStore(folder / f"{path.name}{SUFFIX}", path, slide.identity) as store:
        store.log("scored on the command line", scorer=scored.manifest.id, settings=dict(result.provenance.settings))
        store.save_annotations(scored.annotations)
        store.save_result(result)
        store.log(
            "decided",
            profile=scored.profile.id,
            headline=scored.decision.headline,
            percent=None if result.shares is None else list(result.shares.percent),
        )
        store.log("report exported", files=names)
        store.save(
            Case(
                fields=scored.fields,
                pixel_size=scored.pixel_size,
                profile=scored.profile.id,
                scorer=scored.manifest.id,
                settings={scored.manifest.id: dict(result.provenance.settings)},
            )
        )
        return store.folder
