"""From field to field of the region with two keys, at one magnification, in rows that turn round at their ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from her2viewer.domain.reviewed import MAGNIFICATION, share_text
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.fields import Point, neighbour, serpentine
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.reviewed import Reviewing
from her2viewer.viewer.session import Session

OVERLAP = 0.9
"""Side of a field as a share of the view: nothing at its edge is missed."""
WORTH_A_LOOK = 0.02
"""A field is shown as unseen where this share of it was not looked at, as long as there are such fields."""


class FieldWalk(QObject):
    """Moves the view of one canvas. Main thread."""

    position_changed = Signal(str)
    """"field 3/40" while a field is on the screen, else ""."""

    def __init__(
        self,
        session: Session,
        canvas: SlideCanvas,
        reviewing: Reviewing,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._canvas = canvas
        self._reviewing = reviewing
        self._messages = messages
        self.magnification: float | None = None
        """Of all fields; None for the zoom of the screen."""
        self._fields: list[Point] = []
        self._fields_of: tuple[object, float, float] | None = None
        self._at: tuple[Viewport, Point] | None = None
        """The field shown last, and the view that showed it."""
        self._position = ""
        canvas.viewport_changed.connect(self._view_changed)
        session.slide_changed.connect(self._slide_changed)

    @property
    def position(self) -> str:
        """ "field 3/40" while a field is on the screen, else ""."""
        return self._position

    def step(self, direction: int) -> None:
        """Show the next (1) or previous (-1) field of the region.

        Close by, it goes on from where the reader stands. From afar nobody stands in a field: the first step forward
        goes to the first field that was not looked at closely yet, where the reading was left, and to the first of
        all where there is none; the first step back to the last one.
        """
        if not self._ready():
            return
        before = self._canvas.goal
        view = self._field_view()
        fields = self._lay(view)
        if before.downsample > 2 * view.downsample and not self._within_last(view):
            wanted = [int(i) for i in self._unseen(view, fields)[:1]] if direction > 0 else []
            self._show(view, fields[wanted[0] if wanted else min(direction, 0)], direction)
            if wanted and wanted[0] > 0:
                self._tell_resumed(wanted[0])
            return
        # After a detour within the field it goes on from there.
        here = self._at[1] if self._at is not None and self._within_last(view) else (before.cx, before.cy)
        target = neighbour(fields, here, direction)
        if target is None:
            return
        ends = (fields[0], fields[-1]) if direction > 0 else (fields[-1], fields[0])
        if len(fields) > 1 and here == ends[1] and target == ends[0]:
            self._tell_end(len(fields), direction)
        self._show(view, target, direction)

    def next_unseen(self) -> None:
        """Show the next field of which something was not looked at closely yet."""
        if not self._ready():
            return
        if self._reviewing.map is None or self._reviewing.squares is None:
            self._messages.show_message(
                "Without a pixel size nobody knows what is close enough to count as looked at. Enter it first."
            )
            return
        view = self._field_view(at_least=MAGNIFICATION)
        laid = self._lay(view)
        fields, wanted = np.asarray(laid), self._unseen(view, laid)
        if not len(wanted):
            self._messages.show_message("All of the region was looked at closely.", "done")
            return
        here = self._at[1] if self._at is not None and self._within_last(view) else None
        now = -1 if here is None else int(np.argmin(((fields - here) ** 2).sum(axis=1)))
        later = wanted[wanted > now]
        index = int(later[0] if len(later) else wanted[0])
        self._show(view, self._fields[index], 1)

    def _unseen(self, view: Viewport, laid: list[Point]) -> NDArray[np.intp]:
        """Numbers of the fields of which something was not looked at closely, in their order."""
        known, squares = self._reviewing.map, self._reviewing.squares
        if known is None or squares is None:
            return np.zeros(0, dtype=np.intp)
        fields, half = np.asarray(laid), np.array(self._field_size(view)) / 2
        unseen = squares.unseen_in(known.seen, known.step, np.hstack([fields - half, fields + half]))
        worth = unseen >= WORTH_A_LOOK * 4 * half[0] * half[1] / known.step**2
        return np.flatnonzero(worth if worth.any() else unseen > 0)

    def _tell_resumed(self, before: int) -> None:
        count = "The first field was" if before == 1 else f"The first {before} fields were"
        self._messages.show_message(f"{count} looked at before: it goes on from there. Shift+Tab goes back to them.")

    # -- details --------------------------------------------------------------------------------------------------

    def _ready(self) -> bool:
        if self._session.slide is None:
            return False
        if self._session.region.empty:
            self._messages.show_message("Outline a region first: Tab then goes through it field by field.")
            return False
        return True

    def _field_view(self, at_least: float = 0.0) -> Viewport:
        """A view at the magnification of the fields."""
        view, size = self._canvas.goal, self._session.pixel_size
        if size is None:
            return view
        if self.magnification is not None:
            power = max(self.magnification, at_least)
            return self._canvas.limited(replace(view, downsample=size.magnification / power))
        close = replace(view, downsample=size.magnification / max(MAGNIFICATION, at_least))
        if view.downsample <= close.downsample:
            return view
        # Where one field shows all of the region, there is nothing to go through: look closely instead.
        return close if at_least or len(self._lay(view)) == 1 else view

    def _field_size(self, view: Viewport) -> Point:
        if view.rotation % 90:
            # What lies within a turned view for certain.
            side = min(view.width, view.height) * view.downsample * 2**-0.5 * OVERLAP
            return (side, side)
        x0, y0, x1, y1 = view.bounds()
        return ((x1 - x0) * OVERLAP, (y1 - y0) * OVERLAP)

    def _lay(self, view: Viewport) -> list[Point]:
        width, height = self._field_size(view)
        key = (self._session.region, width, height)
        if self._fields_of != key:
            self._fields, self._fields_of = serpentine(self._session.region, width, height, 1 / OVERLAP), key
        return self._fields

    def _within_last(self, view: Viewport) -> bool:
        """Whether the screen still shows the field that was shown last: the reader only looked about in it."""
        if self._at is None:
            return False
        width, height = self._field_size(view)
        now, (x, y) = self._canvas.goal, self._at[1]
        return now == self._at[0] or (abs(now.cx - x) <= width / 2 and abs(now.cy - y) <= height / 2)

    def _show(self, view: Viewport, field: Point, direction: int) -> None:
        self._canvas.set_viewport(view.centred(*field))
        self._at = (self._canvas.viewport, field)
        number = self._fields.index(field)
        following = self._fields[(number + direction) % len(self._fields)]
        self._canvas.expect(view.centred(*following))
        self._place(f"field {number + 1}/{len(self._fields)}")

    def _tell_end(self, count: int, direction: int) -> None:
        share = self._reviewing.share
        looked = f" {share_text(share)} of the region was looked at closely." if share is not None else ""
        end = "last" if direction > 0 else "first"
        self._messages.show_message(f"That was the {end} of {count} fields; it begins again.{looked}")

    def _view_changed(self, view: Viewport) -> None:
        if self._at is not None and view != self._at[0]:
            self._place("")

    def _slide_changed(self, _: object) -> None:
        self._at = self._fields_of = None
        self._fields = []
        self._place("")

    def _place(self, position: str) -> None:
        if position != self._position:
            self._position = position
            self.position_changed.emit(position)
