"""Shows what was looked at closely: shading on the overview map, a few words in the status bar, and the way back."""

from __future__ import annotations

from PySide6.QtCore import QObject

from her2viewer.domain.region import Region
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.overview import LONGEST
from her2viewer.viewer.field_walk import FieldWalk
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.overlays.base import region_path
from her2viewer.viewer.reviewed import Reviewing, percent
from her2viewer.viewer.session import Session
from her2viewer.viewer.statusbar import StatusBar

_TIP = (
    "How much of the region was on the screen at 20x or more, sharp, for half a second.\n"
    "Tab goes from field to field, U to the next one not yet looked at. Kept in the case."
)


class ReviewDisplay(QObject):
    """Main thread; holds no state but what is drawn."""

    def __init__(
        self,
        canvas: SlideCanvas,
        session: Session,
        *,
        reviewing: Reviewing,
        walk: FieldWalk,
        status: StatusBar,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._reviewing = reviewing
        self._walk = walk
        self._status = status
        self._messages = messages
        reviewing.changed.connect(self._show)
        reviewing.restarted.connect(self._tell_restart)
        walk.position_changed.connect(lambda _: self._show_words())
        session.region_changed.connect(self._show_outline)
        self._show()

    def reset(self) -> None:
        """Forget what was looked at; the message offers to take that back."""
        before = self._reviewing.reset()
        if before is None or before.nothing:
            self._messages.show_message("Nothing was looked at closely yet.")
            return
        self._messages.show_message(
            "What was looked at is forgotten; the map begins anew.",
            "info",
            [("Take back", lambda: self._reviewing.restore(before))],
        )

    def _show(self) -> None:
        self._canvas.overview.set_reviewed(self._reviewing.map)
        self._show_words()

    def _show_words(self) -> None:
        share = self._reviewing.share
        words = [self._walk.position] if self._walk.position else []
        if share is not None:
            words.append(f"reviewed {percent(share)}")
        self._status.set_reviewed("   ".join(words), _TIP if words else "")

    def _show_outline(self, region: Region) -> None:
        slide = self._canvas.slide
        # Half a pixel of the map: a freehand outline has thousands of corners, and this follows each drag.
        coarse = 0.0 if slide is None else max(slide.width, slide.height) / (2 * LONGEST)
        self._canvas.overview.set_outline(region_path(region.geometry.simplify(coarse, preserve_topology=False)))

    def _tell_restart(self) -> None:
        self._messages.show_message(
            "The pixel size is another one now, and with it the magnification of what was looked at: the map of it "
            "begins anew."
        )
