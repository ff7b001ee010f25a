"""Numbers that follow while a shape is dragged, at a pace that the machine keeps up with."""

from __future__ import annotations

import time
from collections.abc import Iterable

from PySide6.QtCore import QObject, QTimer
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.region import Region
from her2viewer.domain.union import NetArea
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import DrawingState

MIN_PAUSE_MS = 33
LOAD = 2.0
"""Pause after a preview in units of what it took: the pointer stays smooth on slow geometry."""


class Previewer(QObject):
    """Hands the shapes under the pointer to canvas and session: the canvas at once, the numbers coalesced."""

    def __init__(self, session: Session, state: DrawingState, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._state = state
        self._others: tuple[Annotation, ...] = ()
        self._united = AnnotationSet().net
        self._rest: NetArea | None = None
        """What stays during the drag that is on; None between drags."""
        self._wanted: tuple[Annotation, ...] | None = None
        self._grown: list[tuple[BaseGeometry, bool]] = []
        """Pieces that the region does not hold yet, and whether they count."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._send)

    def start(self, changing: Iterable[str] = ()) -> None:
        """A drag begins that may change the annotations with these ids, or add new ones."""
        ids = set(changing)
        others = tuple(a for a in self._session.annotations if a.id not in ids)
        if self._others != others:
            # All that stays is united once, so that each step of the drag unites two shapes and not hundreds.
            self._united = self._session.annotations.with_items(others).net
            self._others = others
        self._rest = self._united
        self._wanted = None
        self._grown = []

    def show(self, *annotations: Annotation, draw: bool = True, grown: BaseGeometry | None = None) -> None:
        """These annotations look like this now.

        Args:
            annotations: what is being changed or drawn.
            draw: let the annotation layer draw them in place of the session's; not for shapes that the tool
                draws itself.
            grown: all by which one annotation has grown since the last call (the first: since ``start``): then the
                numbers follow at the cost of this piece, however large the annotation is.
        """
        if grown is not None and self._rest is not None:
            self._grown.append((grown, annotations[0].role is Role.ROI))
            annotations_wanted: tuple[Annotation, ...] = ()
        else:
            annotations_wanted = annotations
        if draw:
            self._state.set_live({a.id: a for a in annotations})
        self._wanted = annotations_wanted
        if not self._timer.isActive():
            self._send()

    def stop(self, commit: bool = False) -> None:
        """The drag is over. Without ``commit`` the numbers go back to the session's own."""
        self._timer.stop()
        self._wanted, self._rest = None, None
        self._grown = []
        self._state.set_live({})
        if not commit:
            self._session.preview(self._session.annotations)

    def _send(self) -> None:
        if self._wanted is None or self._rest is None:
            return
        began = time.perf_counter()
        for piece, inside in self._grown:
            self._rest = self._rest.plus(piece, inside=inside)
        self._grown = []
        shown = self._rest
        for a in self._wanted:
            if a.role is not Role.NOTE:
                shown = shown.plus(a.geometry, inside=a.role is Role.ROI)
        self._session.preview_region(Region.of_net(shown))
        self._wanted = None
        spent = (time.perf_counter() - began) * 1000
        self._timer.start(max(MIN_PAUSE_MS, int(LOAD * spent)))


def min_sliver(scale: float) -> float:
    """Area in level-0 px2 below which a part or a hole is an accident: 2 x 2 screen px at this scale."""
    return (2.0 / scale) ** 2


def is_area(geometry: BaseGeometry) -> bool:
    """Whether anything is left of a shape."""
    return not geometry.is_empty and geometry.area > 0
