"""What ``her2viewer score`` writes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.cases.atomic import StorageError, make_folder
from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError
from her2viewer.commands.score_corrected import Word, elsewhere, word_in
from her2viewer.domain.evidence import CellTable
from her2viewer.reports.model import OwnAnswer, ReportError
from her2viewer.slides.slide import SlideError

if TYPE_CHECKING:
    from her2viewer.cases.case import Case
    from her2viewer.cases.store import CaseStore
    from her2viewer.commands.scored import Scored
    from her2viewer.domain.annotation import AnnotationSet
    from her2viewer.slides.slide import Slide


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


def case_before(slide: Slide, folder: Path) -> tuple[Case, Word]:
    """What an earlier call, or a person in the window, left in the case of this folder, corrections too.

    Raises:
        CommandError: it is open elsewhere, damaged, or a newer program wrote it.
    """
    try:
        with _store(slide, folder) as store:
            before = store.load()
            store.load_annotations()
            word = word_in(store)
            store.acquire()
            return before, word
    except StorageError as error:
        raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error


def corrections_elsewhere(slide: Slide, folder: Path) -> str:
    """A sentence where another case of this slide holds corrections, which are not applied; else ""."""
    return elsewhere(Path(slide.path).absolute(), slide.identity, _store(slide, folder).folder)


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
        own=OwnAnswer(scored.before.own_score, scored.before.comment, scored.fields.get("reader", "")),
        scorer_title=scored.manifest.title,
        corrections=scored.corrected.word.mask,
        change=scored.corrected.change,
        cell_corrections=scored.corrected.word.cells,
        cell_change=scored.corrected.cell_change,
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
        cells = any(isinstance(e, CellTable) for e in scored.result.evidence)
        written["table"] = folder / ("cells.csv" if cells else "patches.csv")
        write_cells_csv(written["table"], scored.result, region, scored.pixel_size)
    written["case"] = _write_case(scored, folder, [path.name for path in written.values()])
    return written


def _write_case(scored: Scored, folder: Path, names: list[str]) -> Path:
    result = scored.result
    with _store(scored.slide, folder) as store:
        _keep_other_outlines(store, scored.annotations)
        store.log("scored on the command line", scorer=scored.manifest.id, settings=dict(result.provenance.settings))
        store.save_annotations(scored.annotations)
        store.save_result(scored.found)
        store.log(
            "decided",
            profile=scored.profile.id,
            headline=scored.decision.headline,
            percent=None if result.shares is None else list(result.shares.percent),
        )
        store.log("report exported", files=names)
        store.save(
            replace(
                scored.before,
                fields=scored.fields,
                pixel_size=scored.pixel_size,
                profile=scored.profile.id,
                scorer=scored.manifest.id,
                settings={**scored.before.settings, scored.manifest.id: dict(result.provenance.settings)},
                pattern_marked=scored.marks["pattern_marked"],
                control_checked=scored.marks["control_checked"],
            )
        )
        return store.folder


def _store(slide: Slide, folder: Path) -> CaseStore:
    from her2viewer.cases.places import SUFFIX
    from her2viewer.cases.store import CaseStore

    path = Path(slide.path).absolute()
    return CaseStore(folder / f"{path.name}{SUFFIX}", path, slide.identity)


def _keep_other_outlines(store: CaseStore, annotations: AnnotationSet) -> None:
    """Outlines that were in the case and are not those scored now stay beside them: somebody may have drawn them."""
    from her2viewer.cases.atomic import atomic_text
    from her2viewer.cases.geojson import to_features

    def drawn(items: AnnotationSet) -> list[dict[str, Any]]:
        return [{**feature, "id": ""} for feature in to_features(items)]

    file = store.folder / "annotations.geojson"
    if file.exists() and drawn(store.load_annotations()) not in ([], drawn(annotations)):
        kept = store.folder / f"annotations.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}.geojson"
        atomic_text(kept, file.read_text(encoding="utf-8"))
        store.log("outlines replaced on the command line", kept=kept.name)
