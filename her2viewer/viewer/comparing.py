"""What the commands of the further views do: asks for slides, sets landmarks, keeps alignments in the case."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from her2viewer.domain.corrections import Bounds
from her2viewer.domain.evidence import CellTable, Evidence
from her2viewer.slides.slide import Slide
from her2viewer.viewer.actions import Actions
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.compare.grid import CompareGrid
from her2viewer.viewer.compare.keeping import ViewsKeeping
from her2viewer.viewer.compare.view import FurtherView, Kind
from her2viewer.viewer.desk import Desk, file_dialog
from her2viewer.viewer.menus import Menus
from her2viewer.viewer.opening import SlideExtras
from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer
from her2viewer.viewer.slide_flow import SLIDE_FILTERS

if TYPE_CHECKING:
    from her2viewer.cases.alignment_file import AlignedSlide

_FULL = "four views are shown already; close one of them first"
_NO_SLIDE = "open a slide first"
_NO_OTHER = "show another slide in a second view first"


class Comparing(QObject):
    """The hands of the further views."""

    def __init__(
        self,
        window: QWidget,
        desk: Desk,
        *,
        grid: CompareGrid,
        outlines: AnnotationLayer,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._grid = grid
        self._session, self._controller, self._keeper = desk.session, desk.controller, desk.keeper
        self._storage, self._messages = desk.storage, desk.messages
        session, controller, keeper, messages = desk.session, desk.controller, desk.keeper, desk.messages
        self._outlines = outlines
        self._missing: frozenset[str] = frozenset()
        self._commands: Actions | None = None
        self.palette = ""
        self.icc = False
        self._main_extras: SlideExtras | None = None
        self.native_dialogs = True
        """Tests use Qt's own file dialog."""
        grid.arrived.connect(self._arrived)
        grid.views_changed.connect(self.show_availability)
        grid.message.connect(lambda text: messages.show_message(text, "warning"))
        session.slide_changed.connect(self._slide_changed)
        session.pixel_size_changed.connect(self._pixel_size_changed)
        session.region_changed.connect(lambda _: self._show_evidence())
        controller.result_changed.connect(lambda _: self._show_evidence())
        # While a scorer runs, its view gets each part as the main one does.
        controller.evidence_added.connect(self._add_evidence)
        controller.evidence_changed.connect(lambda _: self._show_evidence())
        controller.evidence_corrected.connect(self._correct_evidence)
        controller.cells_corrected.connect(self._correct_cells)
        controller.scored_changed.connect(lambda *_: self._show_evidence())
        self.keeping = ViewsKeeping(self, desk, grid)
        keeper.case_changed.connect(lambda _: self._case_changed())

    def wire(self, commands: Actions, menus: Menus) -> None:
        """Give the commands their work."""
        self._commands = commands
        work: dict[str, Callable[[], object]] = {
            "second_plain": self.show_plain,
            "second_other": self.ask_other,
            "four_views": self.show_four,
            "close_views": self._grid.clear,
            "align_mark": self.mark,
            "align_undo": self.undo,
            "align_flip": self.flip,
            "align_take": self.take,
            "align_reset": self.reset,
        }
        for command_id, do in work.items():
            commands[command_id].triggered.connect(lambda _=False, do=do: do())
        commands["link_views"].setChecked(True)
        commands["link_views"].triggered.connect(self.set_linked)
        commands["stack_views"].triggered.connect(self.set_stacked)
        menus.sub["second_scorer"].aboutToShow.connect(lambda: self._fill_scorers(menus))
        menus.sub["aligned"].aboutToShow.connect(lambda: self._fill_aligned(menus))
        self.show_availability()

    # -- views ----------------------------------------------------------------------------------------------------

    def show_plain(self) -> FurtherView | None:
        """The same slide without overlays."""
        view, slide = self._add(Kind.PLAIN), self._session.slide
        if view is not None and slide is not None:
            view.show_same(slide, self._session.pixel_size)
            self._show_colours(view)
        return view

    def show_scorer(self, scorer: str) -> FurtherView | None:
        """The same slide with what one scorer found."""
        view, slide = self._add(Kind.SCORER), self._session.slide
        if view is not None and slide is not None:
            view.show_scorer(slide, self._session.pixel_size, scorer, self._title(scorer), self.palette)
            self._show_colours(view)
            self._show_evidence()
        return view

    def show_other(self, path: Path) -> FurtherView | None:
        """Another slide; it appears when it is open."""
        view = self._add(Kind.OTHER)
        if view is not None:
            view.aligned.connect(self._keep)
            self._grid.open_other(view, path)
        return view

    def show_four(self) -> None:
        """Fill up to four views: bare tissue, then other scorers, then slides that were aligned."""
        if self._session.slide is None:
            self._messages.show_message("Open a slide first.")
            return
        shown = {view.kind for view in self._grid.views}
        if Kind.PLAIN not in shown:
            self.show_plain()
        for scorer in self._controller.known_scorers:
            if not self._grid.full and all(view.scorer != scorer for view in self._grid.views):
                self.show_scorer(scorer)
        paths = {view.path for view in self._grid.views}
        for aligned in self._keeper.alignments:
            path = Path(aligned.path)
            if not self._grid.full and aligned.path not in self._missing and path not in paths:
                self.show_other(path)
        while not self._grid.full:
            view = self._add(Kind.OTHER)
            if view is None:
                break
            view.aligned.connect(self._keep)
            view.offer(partial(self.ask_other, view))

    def ask_other(self, view: FurtherView | None = None) -> None:
        """Ask for another slide and show it beside the main one, in ``view`` or in a new one."""
        slide = self._session.slide
        if slide is None:
            self._messages.show_message("Open a slide first.")
            return
        if view is None and self._grid.full:
            self._messages.show_message("Four views are shown already: close one of them first.")
            return

        def chosen(path: Path) -> None:
            if view is not None and view in self._grid.views:
                self._grid.open_other(view, path)
            else:
                self.show_other(path)

        title, start, native = "Slide for the second view", str(slide.path.parent), self.native_dialogs
        file_dialog(self._window, title, start, SLIDE_FILTERS, chosen, native=native).open()

    def set_linked(self, linked: bool) -> None:
        """Let all views move together, or each alone."""
        self._grid.linked = linked

    def set_stacked(self, stacked: bool) -> None:
        """Two views one above the other, or side by side."""
        self._grid.stacked = stacked

    def set_palette(self, palette: str) -> None:
        """Class colours of the further views."""
        self.palette = palette
        for view in self._grid.views:
            if view.evidence is not None:
                view.evidence.set_palette(palette)

    def set_icc(self, wanted: bool, extras: SlideExtras | None) -> None:
        """Colours as the scanners' profiles say, or raw."""
        self.icc, self._main_extras = wanted, extras
        for view in self._grid.views:
            self._show_colours(view)

    def look(self, do: Callable[[SlideCanvas], object]) -> None:
        """Do something with the view that has the focus, where it moves alone; else with the main one."""
        active = self._grid.active
        alone = any(view.canvas is active and not view.canvas.linked for view in self._grid.views)
        do(active if alone else self._grid.main)

    def read_again(self) -> None:
        """Try anew, in all views, what could not be read."""
        for canvas in self._grid.canvases:
            canvas.read_again()

    # -- aligning -------------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """The place under the pointer is one half of a landmark."""
        view, canvas = self._grid.aligning, self._grid.pointed
        if view is None or view.aligner is None:
            return
        if canvas is None or canvas.pointer is None:
            self._messages.show_message(
                "Point at a place of the tissue, then press A; then at the same in the other."
            )
            return
        x, y = canvas.viewport.to_slide(canvas.pointer.x(), canvas.pointer.y())
        if canvas is self._grid.main:
            view.aligner.mark_here(x, y)
            return
        pointed = next(v for v in self._grid.views if v.canvas is canvas)
        if pointed.aligner is None:
            self._messages.show_message("This view shows the same slide: landmarks are set on the other one.")
            return
        # Of several other slides the one that was pointed at is aligned.
        pointed.canvas.setFocus()
        pointed.mark(x, y)

    def undo(self) -> None:
        """Take the last landmark back."""
        view = self._grid.aligning
        if view is not None and view.aligner is not None and not view.aligner.undo():
            self._messages.show_message("There is no landmark to take back.")

    def flip(self) -> None:
        """Turn the other slide over."""
        view = self._grid.aligning
        if view is not None and view.aligner is not None:
            view.aligner.flip()

    def take(self) -> None:
        """What both views show now lies on each other; they are linked again."""
        view = self._grid.aligning
        if view is not None:
            view.take()
            view.set_linked(True)

    def reset(self) -> None:
        """Forget the alignment."""
        view = self._grid.aligning
        if view is not None and view.aligner is not None:
            view.aligner.reset()

    # -- what can be done -----------------------------------------------------------------------------------------

    def show_availability(self) -> None:
        """Enable each command, or disable it with the reason."""
        commands, grid = self._commands, self._grid
        if commands is None:
            return
        no_slide = "" if self._session.slide is not None else _NO_SLIDE
        full = _FULL if grid.full else ""
        none = "" if grid.views else "there is no further view"
        other = "" if grid.aligning is not None else _NO_OTHER
        for command_id in ("second_plain", "second_other", "four_views"):
            commands.allow(command_id, no_slide or full)
        for command_id in ("close_views", "link_views"):
            commands.allow(command_id, none)
        commands.allow("stack_views", none or ("" if len(grid.views) == 1 else "more than two views make a square"))
        commands["link_views"].setChecked(grid.linked)
        commands["stack_views"].setChecked(grid.stacked)
        for command_id in ("align_mark", "align_undo", "align_flip", "align_take", "align_reset"):
            commands.allow(command_id, other)

    def _fill_scorers(self, menus: Menus) -> None:
        reason = (_NO_SLIDE if self._session.slide is None else "") or (_FULL if self._grid.full else "")
        entries = [(s, self._title(s), reason) for s in self._controller.known_scorers]
        if not entries:
            entries = [("", "No scorer has looked at this slide yet", reason or "run a scorer first")]
        menus.choices("second_scorer", entries, "", self._show_chosen)

    def _fill_aligned(self, menus: Menus) -> None:
        self._check()
        full = _FULL if self._grid.full else ""
        entries = []
        for aligned in self._keeper.alignments:
            gone = aligned.path in self._missing
            reason = f"{aligned.path} was not found: it was moved, or its drive is not connected" if gone else full
            # "&" in a file name is no mnemonic.
            name = Path(aligned.path).name.replace("&", "&&")
            entries.append((aligned.path, f"{name}{'  (not found)' if gone else ''}", reason))
        if not entries:
            entries = [("", "No slide was aligned with this one yet", "show another slide and align it first")]
        menus.choices("aligned", entries, "", self._show_aligned)

    def _show_chosen(self, scorer: str) -> None:
        self.show_scorer(scorer)

    def _show_aligned(self, path: str) -> None:
        aligned = next((a for a in self._keeper.alignments if a.path == path), None)
        slide = self._session.slide
        if aligned is None or slide is None:
            return
        main = slide.path

        def found(where: Path | None) -> None:
            if where is not None and self._session.slide is slide:
                self.show_other(where)
            elif where is None:
                self._messages.show_message(f"{path} was not found: it was moved, or its drive is not connected.")

        self._storage.submit("Looking for the aligned slide", lambda: aligned.found(main), done=found)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _add(self, kind: Kind) -> FurtherView | None:
        if self._session.slide is None or self._grid.full:
            self._messages.show_message(
                "Four views are shown already: close one of them first." if self._grid.full else "Open a slide first."
            )
            return None
        return self._grid.add(kind)

    def _title(self, scorer: str) -> str:
        entry = next((e for e in self._controller.scorers if e.id == scorer), None)
        return entry.manifest.title if entry is not None and entry.manifest is not None else scorer

    def _show_colours(self, view: FurtherView) -> None:
        if view.kind is Kind.OTHER:
            view.set_icc(self.icc)
        elif view.canvas.slide is not None:
            extras = self._main_extras
            transform = extras.display_transform if extras is not None and self.icc else None
            if transform is not None or view.corrected:
                view.corrected = transform is not None
                view.canvas.set_display_transform(transform)

    def _show_evidence(self) -> None:
        controller, region = self._controller, self._session.region
        for view in self._grid.views:
            if view.kind is Kind.SCORER:
                view.show_evidence(controller.evidence_of(view.scorer), region, controller.scored_by(view.scorer))

    def _correct_evidence(self, evidence: tuple[Evidence, ...], box: Bounds) -> None:
        controller = self._controller
        for view in self._grid.views:
            if view.scorer == controller.scorer:
                view.correct_evidence(evidence, box, controller.evidence)

    def _correct_cells(self, scorer: str, patch: CellTable) -> None:
        for view in self._grid.views:
            if view.kind is Kind.SCORER and view.scorer == scorer:
                view.correct_cells(patch, self._controller.evidence_of(scorer))

    def _add_evidence(self, evidence: tuple[Evidence, ...]) -> None:
        for view in self._grid.views:
            if view.kind is Kind.SCORER and view.scorer == self._controller.scorer:
                view.add_evidence(evidence)

    def _arrived(self, view: FurtherView, slide: Slide, extras: SlideExtras) -> None:
        known = next((a for a in self._keeper.alignments if a.identity == slide.identity), None)
        if known is None and any(Path(a.path) == slide.path for a in self._keeper.alignments):
            self._messages.show_message(
                f"{slide.path.name} is another slide than the one that was aligned: align it anew.", "warning"
            )
        view.show_other(slide, extras, known)
        view.set_icc(self.icc)
        view.set_outlines(self._outlines, self._outlines.texts)
        if view.aligner is not None:
            view.aligner.changed.connect(self._grid.show_landmarks)
        self._grid.show_landmarks()

    def _keep(self, aligned: AlignedSlide) -> None:
        others = [a for a in self._keeper.alignments if a.identity != aligned.identity and a.path != aligned.path]
        kept = (*others, aligned) if aligned.alignment.known else tuple(others)
        self._keeper.keep_alignments(kept)

    def _slide_changed(self, slide: Slide | None) -> None:
        self._grid.clear()
        self._grid.set_name("" if slide is None else slide.path.name)
        self.show_availability()

    def _pixel_size_changed(self, _: object) -> None:
        for view in self._grid.views:
            if view.kind is not Kind.OTHER:
                view.canvas.set_pixel_size(self._session.pixel_size)
                view.show_zoom()

    def _case_changed(self) -> None:
        if self._keeper.alignments:
            self._check()

    def _check(self) -> None:
        """Look which aligned slides are gone; a sleeping network drive must not hold the window up."""
        slide, alignments = self._session.slide, self._keeper.alignments
        if slide is None or not alignments:
            return
        beside = slide.path

        def work() -> frozenset[str]:
            return frozenset(a.path for a in alignments if a.found(beside) is None)

        def done(missing: frozenset[str]) -> None:
            self._missing = missing

        self._storage.submit("Looking for aligned slides", work, done=done, quiet=True)
