"""Keeps with the case which views stand side by side, and brings them back when it is opened again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer

from her2viewer.viewer.compare.grid import MOST, CompareGrid
from her2viewer.viewer.compare.view import FurtherView, Kind
from her2viewer.viewer.desk import Desk

if TYPE_CHECKING:
    from her2viewer.cases.views_file import KeptView, KeptViews
    from her2viewer.viewer.comparing import Comparing

_UNIQUE = Qt.ConnectionType.UniqueConnection
_AFTER_MS = 300
"""A divider that is being dragged, or H that is held for a moment, is not written down at each step."""


class ViewsKeeping(QObject):
    """Main thread; the disk is touched by the storage thread."""

    def __init__(self, comparing: Comparing, desk: Desk, grid: CompareGrid) -> None:
        super().__init__(comparing)
        self._comparing = comparing
        self._grid = grid
        self._session, self._controller, self._keeper = desk.session, desk.controller, desk.keeper
        self._storage, self._messages = desk.storage, desk.messages
        self._reopening = False
        self._left_out: tuple[KeptView, ...] = ()
        """Kept views that cannot be shown now: a drive may be back tomorrow."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_AFTER_MS)
        self._timer.timeout.connect(self.keep)
        grid.views_changed.connect(self._views_changed)
        grid.arranged.connect(self._soon)
        grid.main.overlays_hidden_changed.connect(lambda _: self._soon())

    def keep(self) -> None:
        """Tell the case how the views stand now."""
        self._timer.stop()
        keeper = self._keeper
        if self._reopening or self._session.slide is None or keeper.store is None:
            return
        if not self._grid.views:
            # The reader closed them all.
            self._left_out = ()
            if keeper.views is None:
                return
        from her2viewer.cases.views_file import KeptViews

        shown = tuple(kept for kept in map(_kept, self._grid.views) if kept is not None)
        across, down = self._grid.dividers
        keeper.keep_views(
            KeptViews(
                views=(*shown, *self._left_out)[:MOST],
                stacked=self._grid.stacked,
                linked=self._grid.linked,
                overlays=not self._grid.main.overlays_hidden,
                across=round(across, 4),
                down=round(down, 4),
            )
        )

    def reopen(self) -> None:
        """Another case is shown, or none: show the views that it was left with."""
        self._timer.stop()
        self._left_out = ()
        self._reopening = False
        kept, slide = self._keeper.views, self._session.slide
        if kept is None or slide is None or not kept.views:
            return
        self._reopening = True
        beside = slide.path

        def look() -> dict[str, Path | None]:
            return {view.path: view.found(beside) for view in kept.views if view.path}

        def show(found: Mapping[str, Path | None]) -> None:
            if self._session.slide is slide:
                self._show(kept, found)

        def failed(_: str) -> None:
            self._reopening = False

        self._storage.submit("Looking for slides shown side by side", look, done=show, failed=failed, quiet=True)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _show(self, kept: KeptViews, found: Mapping[str, Path | None]) -> None:
        grid = self._grid
        if grid.views:
            # The reader was quicker, and has chosen anew.
            self._reopening = False
            self._soon()
            return
        grid.linked, grid.stacked, grid.dividers = kept.linked, kept.stacked, (kept.across, kept.down)
        missing = []
        for view in kept.views:
            shown = self._show_one(view, found.get(view.path))
            if shown is None:
                missing.append(view)
            elif not view.linked:
                shown.set_linked(False)
        if grid.views:
            grid.main.overlays_hidden = not kept.overlays
        self._left_out = tuple(missing)
        self._reopening = False
        self._comparing.show_availability()
        grid.main.setFocus()
        if missing:
            self._messages.show_message(_sentence(missing), "warning")

    def _show_one(self, view: KeptView, path: Path | None) -> FurtherView | None:
        if view.kind == Kind.PLAIN:
            return self._comparing.show_plain()
        if view.kind == Kind.SCORER:
            known = view.scorer in self._controller.known_scorers
            return self._comparing.show_scorer(view.scorer) if known else None
        return self._comparing.show_other(path) if path is not None else None

    def _views_changed(self) -> None:
        for view in self._grid.views:
            view.link_changed.connect(self._soon, _UNIQUE)
        self._soon()

    def _soon(self) -> None:
        if not self._reopening and self._session.slide is not None:
            self._timer.start()


def _kept(view: FurtherView) -> KeptView | None:
    """None for a view that waits for a slide."""
    from her2viewer.cases.views_file import KeptView

    if view.kind is Kind.OTHER and view.path is None:
        return None
    path = str(view.path) if view.kind is Kind.OTHER else ""
    return KeptView(view.kind.value, view.scorer, path, view.canvas.linked)


def _sentence(missing: list[KeptView]) -> str:
    slides = [Path(view.path).name for view in missing if view.path]
    scorers = [view.scorer for view in missing if view.scorer]
    parts = []
    if slides:
        was = "was" if len(slides) == 1 else "were"
        parts.append(
            f"{' and '.join(slides)} {was} found neither where it was nor beside this slide (connect its drive, or "
            "choose it anew in the View menu)"
        )
    if scorers:
        parts.append(f"the case has no result of {' and '.join(scorers)} (run it, then choose it in the View menu)")
    return f"Not all views could be shown again: {'; '.join(parts)}."
