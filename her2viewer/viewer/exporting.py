"""What leaves and enters the window as files: report, tables, outlines. All of it happens in the storage thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from her2viewer.domain.annotation import Annotation, AnnotationSet
from her2viewer.domain.cell_corrections import CellChange, CellCorrections
from her2viewer.domain.corrections import Corrections, MaskChange
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.result import Result
from her2viewer.domain.reviewed import ReviewedMap
from her2viewer.guidelines.decision import Decision
from her2viewer.scoring.cell_clusters import ClusterSearch
from her2viewer.slides.slide import Slide
from her2viewer.viewer.desk import Desk, file_dialog, save_dialog
from her2viewer.viewer.panels.case_panel import FIELDS

_GEOJSON = "GeoJSON (*.geojson *.json *.gz *.zip);;All files (*)"

_MOST_REMARKS = 3


@dataclass(frozen=True)
class ReportInputs:
    """Everything that a report is made of, as values: they cross into the storage thread."""

    slide: Slide
    pixel_size: PixelSize
    annotations: AnnotationSet
    result: Result | None
    decision: Decision | None
    others: tuple[Decision, ...]
    case_fields: Mapping[str, str]
    own_score: str
    comment: str
    reader: str
    scorer_title: str
    palette: str
    reviewed: ReviewedMap | None
    corrections: Corrections
    change: MaskChange
    cell_corrections: CellCorrections
    cell_change: CellChange
    clusters: ClusterSearch | None

    def build(self) -> Any:
        """The report's values; reads the slide.

        Raises:
            ReportError: the slide can no longer be read.
        """
        from her2viewer.reports.build import build_report
        from her2viewer.reports.model import OwnAnswer

        return build_report(
            self.slide,
            self.pixel_size,
            self.annotations,
            self.result,
            self.decision,
            self.others,
            self.case_fields,
            own=OwnAnswer(score=self.own_score, comment=self.comment, name=self.reader),
            scorer_title=self.scorer_title,
            palette=self.palette,
            reviewed=self.reviewed,
            corrections=self.corrections,
            change=self.change,
            cell_corrections=self.cell_corrections,
            cell_change=self.cell_change,
        )


def _write_pdf(inputs: ReportInputs, path: Path) -> None:
    from her2viewer.reports.pdf import write_pdf

    write_pdf(inputs.build(), path)


def _write_json(inputs: ReportInputs, path: Path) -> None:
    from her2viewer.reports.json_report import write_json

    write_json(inputs.build(), path)


def _write_csv(inputs: ReportInputs, path: Path) -> None:
    from her2viewer.reports.tables import write_cells_csv

    assert inputs.result is not None
    region = inputs.annotations.region()
    write_cells_csv(path, inputs.result, region, inputs.pixel_size, inputs.reviewed, search=inputs.clusters)


def _write_geojson(inputs: ReportInputs, path: Path) -> None:
    from her2viewer.cases.geojson import write_cells_geojson
    from her2viewer.domain.evidence import CellTable
    from her2viewer.reports.model import ReportError

    evidence = () if inputs.result is None else inputs.result.evidence
    cells = next((e for e in evidence if isinstance(e, CellTable)), None)
    if cells is None:
        raise ReportError("This scorer finds no single cells, so there are none to write.")
    inside = inputs.annotations.region().contains_points(cells.x, cells.y)
    write_cells_geojson(path, cells.selected(inside), inputs.clusters)


_WRITERS: Mapping[str, tuple[str, str, str, Callable[[ReportInputs, Path], None]]] = {
    "pdf": ("Writing the report", ".pdf", "PDF (*.pdf)", _write_pdf),
    "json": ("Writing the report", ".json", "JSON (*.json)", _write_json),
    "csv": ("Writing the cells", ".csv", "CSV (*.csv)", _write_csv),
    "geojson": ("Writing the cells", ".geojson", _GEOJSON, _write_geojson),
}


class Exporting(QObject):
    """Asks where to, has it written, says where it is."""

    busy_changed = Signal(str)
    """What is being written, "" when nothing is."""

    def __init__(self, window: QWidget, desk: Desk) -> None:
        super().__init__(window)
        self._window = window
        self._session, self._controller, self._keeper = desk.session, desk.controller, desk.keeper
        self._storage, self._messages = desk.storage, desk.messages
        self.palette = ""
        self.reviewed: Callable[[], ReviewedMap | None] = lambda: None
        """Which places were looked at closely."""
        self.clusters: Callable[[], ClusterSearch | None] = lambda: None
        """How clusters were found, where they were looked at."""
        self.native_dialogs = True
        """Tests use Qt's own file dialog."""

    # -- reports ------------------------------------------------------------------------------------------------

    def obstacle(self, kind: str = "pdf") -> str:
        """Why no report can be written now, "" where it can."""
        if self._session.slide is None:
            return "open a slide first"
        if self._session.pixel_size is None:
            return "the pixel size is unknown; enter it first (File, Pixel size)"
        if self._session.region.empty:
            return "outline the invasive carcinoma first"
        if kind in ("csv", "geojson") and not self._controller.has_result:
            return "nothing has been scored yet"
        return ""

    def ask_report(self, kind: str) -> None:
        """Ask for a file and write the report there; ``kind`` is pdf, json, csv or geojson (cells)."""
        reason = self.obstacle(kind)
        if reason:
            self._messages.show_message(f"There is no report yet: {reason}.")
            return
        _, suffix, filters, _ = _WRITERS[kind]
        store, slide = self._keeper.store, self._session.slide
        assert slide is not None
        case = self._keeper.case
        name = (case.fields.get("case_id", "") if case is not None else "") or slide.path.stem
        name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name)
        kept = "cells" if kind in ("csv", "geojson") else "report"
        folder = store.folder.parent if store is not None else slide.path.parent
        self._ask_file(
            "Save the report",
            str(folder / f"{name}-her2-{kept}{suffix}"),
            filters,
            suffix,
            lambda path: self.write_report(kind, path),
        )

    def write_report(self, kind: str, path: Path) -> None:
        """Write the report of what is in the window now."""
        inputs = self._inputs()
        if inputs is None:
            self._messages.show_message(f"There is no report yet: {self.obstacle(kind)}.")
            return
        title, _, _, write = _WRITERS[kind]
        self.busy_changed.emit(title)

        def done(_: object) -> None:
            self.busy_changed.emit("")
            self._keeper.log("report exported", file=str(path))
            self._messages.show_message(
                f"The file {path.name} was written.",
                "done",
                [
                    ("Open", lambda: open_with_desktop(path)),
                    ("Show in folder", lambda: open_with_desktop(path.parent)),
                ],
            )

        def failed(sentence: str) -> None:
            self.busy_changed.emit("")
            self._messages.show_message(sentence, "error")

        self._storage.submit(title, lambda: write(inputs, path), done=done, failed=failed)

    def _inputs(self) -> ReportInputs | None:
        session, controller = self._session, self._controller
        if session.slide is None or session.pixel_size is None or session.region.empty:
            return None
        case = self._keeper.case
        fields = dict(case.fields) if case is not None else {}
        reading = controller.reading
        manifest = controller.manifest
        return ReportInputs(
            slide=session.slide,
            pixel_size=session.pixel_size,
            annotations=session.annotations,
            result=controller.result,
            decision=controller.decision,
            others=controller.others,
            case_fields={title: fields.get(name, "") for name, title, _ in FIELDS},
            own_score=reading.own_score,
            comment=reading.comment,
            reader=fields.get("reader", ""),
            scorer_title=manifest.title if manifest is not None else "",
            palette=self.palette,
            reviewed=self.reviewed(),
            corrections=session.corrections,
            change=controller.change,
            cell_corrections=session.cell_corrections,
            cell_change=controller.cell_change,
            clusters=self.clusters(),
        )

    # -- outlines -----------------------------------------------------------------------------------------------

    def ask_import(self) -> None:
        """Ask for a GeoJSON file and add its outlines."""
        slide = self._session.slide
        if slide is None:
            self._messages.show_message("Open a slide first: outlines belong to a slide.")
            return
        native = self.native_dialogs
        start = str(slide.path.parent)
        file_dialog(self._window, "Import annotations", start, _GEOJSON, self.import_file, native=native).open()

    def import_file(self, path: Path) -> None:
        """Add the outlines of a GeoJSON file, undoable in one step."""
        slide = self._session.slide
        if slide is None:
            self._messages.show_message("Open a slide first: outlines belong to a slide.")
            return
        if self._session.locked:
            self._messages.show_message("This case is signed: amend it before importing outlines.", "warning")
            return

        def work() -> Any:
            from her2viewer.cases.geojson import load_geojson

            return load_geojson(path)

        self._storage.submit("Importing", work, done=lambda content: self._unite(slide, path, content))

    def _unite(self, slide: Slide, path: Path, content: Any) -> None:
        """Work out the region of all outlines beside the main thread: of thousands it takes a while."""
        present = self._session.annotations

        def work() -> tuple[list[Annotation], AnnotationSet]:
            known = {a.id for a in present}
            new = [a for a in content.annotations if a.id not in known]
            after = present.added(*new)
            after.region()
            return new, after

        def done(result: tuple[list[Annotation], AnnotationSet]) -> None:
            if self._session.slide is not slide:
                return
            if self._session.annotations is not present:
                # The reader drew meanwhile.
                self._unite(slide, path, content)
                return
            self._imported(slide, path, content, *result)

        self._storage.submit("Importing", work, done=done)

    def _imported(self, slide: Slide, path: Path, content: Any, new: list[Annotation], after: AnnotationSet) -> None:
        again = len(content.annotations) - len(new)
        remarks = [*content.skipped, *content.notices]
        if len(remarks) > _MOST_REMARKS:
            remarks = [
                *remarks[:_MOST_REMARKS],
                f"There are {len(remarks) - _MOST_REMARKS} more remarks of this kind.",
            ]
        if again:
            remarks.append(f"{again} of its outlines are here already and were left as they are.")
        boxes = AnnotationSet(tuple(new)).bounds.tolist()
        outside = sum(1 for box in boxes if not _on_slide(box, slide))
        if outside:
            remarks.append(f"{outside} of its outlines lie outside this slide: is it the right file?")
        if new:
            self._session.edit(f"Import {path.name}", after, ())
            self._keeper.log("annotations imported", file=str(path), objects=len(new))
        text = f"{_outlines(len(new))} added from {path.name}."
        kind = "warning" if outside or not new else "done"
        self._messages.show_message(" ".join([text, *remarks]), "warning" if kind == "warning" else "done")

    def ask_export(self) -> None:
        """Ask for a file and write all outlines as GeoJSON."""
        slide = self._session.slide
        if slide is None or not len(self._session.annotations):
            self._messages.show_message("There is nothing to export yet: outline a region first.")
            return
        self._ask_file(
            "Export annotations",
            str(slide.path.with_suffix(".geojson")),
            _GEOJSON,
            ".geojson",
            self.export_file,
        )

    def export_file(self, path: Path) -> None:
        """Write all outlines as GeoJSON, and as notes what was corrected of the tumour mask."""
        annotations, corrections = self._session.annotations, self._session.corrections

        def work() -> None:
            from her2viewer.cases.corrections_file import corrections_as_outlines
            from her2viewer.cases.geojson import write_geojson

            write_geojson(path, (*annotations, *corrections_as_outlines(corrections)))

        def done(_: object) -> None:
            self._messages.show_message(
                f"{_outlines(len(annotations))} written to {path.name}.",
                "done",
                [("Show in folder", lambda: open_with_desktop(path.parent))],
            )

        self._storage.submit("Exporting the annotations", work, done=done)

    # -- details ------------------------------------------------------------------------------------------------

    def _ask_file(self, title: str, start: str, filters: str, suffix: str, use: Callable[[Path], None]) -> None:
        native = self.native_dialogs
        save_dialog(self._window, title, start, filters, use, suffix=suffix, native=native).open()


def open_with_desktop(path: Path) -> None:
    """Open a file or folder with the program that the desktop uses for it."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def _outlines(count: int) -> str:
    return "1 outline was" if count == 1 else f"{count:,} outlines were"


def _on_slide(bounds: Sequence[float], slide: Slide) -> bool:
    x0, y0, x1, y1 = bounds
    return x1 > 0 and y1 > 0 and x0 < slide.width and y0 < slide.height
