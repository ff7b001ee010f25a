"""The tool with which the reader corrects cells: point at one or draw round several, then a key says the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QCursor, QKeyEvent, QPainter, QPen, QPolygonF

from her2viewer.domain.cell_corrections import CellCorrections, SaidClass, count_text
from her2viewer.domain.classes import ClassScheme
from her2viewer.domain.editing import outline
from her2viewer.domain.region import Region
from her2viewer.scoring.cell_parts import CellParts
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.cell_selection import CellSelection
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import DrawingState
from her2viewer.viewer.tools.drawing_tool import CLICK_PX, SessionTool, distance, paint_outline, to_screen

if TYPE_CHECKING:
    from her2viewer.viewer.canvas.canvas import SlideCanvas

BACK_KEY = "Z"
"""Takes the reader's word on cells back: there the scorer's counts again."""
_TAKEN = "ZVHE"
"""Letters that no class gets: what they do elsewhere is needed while cells are corrected."""
_REACH_PX, _REACH_UM = 14.0, 8.0
_STEP_PX = 2.0
_NOTHING: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
_LINE = QColor(255, 255, 255)
_PLAIN = Qt.KeyboardModifier.NoModifier | Qt.KeyboardModifier.KeypadModifier
NO_CELLS = "There are no cells to correct here yet: run a scorer that finds cells first."
NO_TARGET = "Point at a cell first, or draw round several: then say what they are."
HIDDEN = "The cells are hidden: show their layer first, for nothing is corrected unseen."


def class_keys(scheme: ClassScheme) -> tuple[str, ...]:
    """The key of each class: 0 to 3 for the HER2 classes, else a letter of its name ("S" for stroma)."""
    keys: list[str] = []
    for name, code in zip(scheme.names, scheme.her2, strict=True):
        letters = str(code) if code >= 0 else name.upper()
        free = (c for c in letters if c.isalnum() and c.isascii() and c not in keys and c not in _TAKEN)
        keys.append(next(free, ""))
    return tuple(keys)


class CellsSeen:
    """What of the cells can be seen now; the window answers."""

    def __init__(self) -> None:
        self.cells: Callable[[], CellParts | None] = lambda: None
        """The cells that may be corrected; while a run finds more, another part may come at any time."""
        self.shown: Callable[[Viewport | None], NDArray[np.bool_] | None] = lambda viewport: None
        """(classes,) what is drawn; None where nothing is, or in this view no single cell."""


class _Told(QObject):
    changed = Signal()


class CorrectCellsTool(SessionTool):
    """Click chooses a cell, a drag draws round several, Ctrl drags a rectangle, Shift adds; keys say the class."""

    id = "correct_cells"
    title = "Correct cells"
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, session: Session, state: DrawingState) -> None:
        super().__init__(session, state)
        self.seen = CellsSeen()
        self.chosen = CellSelection()
        """Replaced by that of the window."""
        self._told = _Told()
        self.target_changed = self._told.changed
        """Another cell is under the pointer."""
        self._pointer: QPointF | None = None
        self._hover: int | None = None
        """Number of the cell under the pointer."""
        self._hover_of: CellParts | None = None
        """Among these."""
        self._points: list[tuple[float, float]] = []
        self._last = QPointF()
        self._square = self._adding = False

    # -- what is meant --------------------------------------------------------------------------------------------

    @property
    def scheme(self) -> ClassScheme | None:
        """Of the cells that can be corrected now."""
        cells = self.seen.cells()
        return None if cells is None else cells.scheme

    @property
    def targets(self) -> NDArray[np.int64]:
        """(k,) numbers of the cells that a key would speak of: several chosen ones, else that at the pointer."""
        cells = self.seen.cells()
        # The corrected table is never made for this: that of a million cells takes its time.
        chosen = _NOTHING
        if cells is not None and cells.is_table(self.chosen.table):
            chosen = cells.in_parts(self.chosen.indices)
        if len(chosen) > 1 or self._hover is None or self._hover_of is not cells:
            return chosen
        return np.array([self._hover], dtype=np.int64)

    @property
    def pointer(self) -> QPointF | None:
        """Where the pointer was seen last, logical px of the canvas."""
        return self._pointer

    def say(self, code: int | None) -> bool:
        """Give the targets a class of the scheme, or remove them (None): one undo step. False without targets."""
        cells, targets = self._ready()
        if cells is None or cells.scheme is None:
            return False
        x, y = cells.centres(targets)
        said = None if code is None else SaidClass.of(cells.scheme, code)
        what = "Remove" if said is None else f"Class {said.name} for"
        self._edit(f"{what} {count_text(len(targets))}", cells.after(x, y, said))
        return True

    def take_back(self) -> bool:
        """Let the scorer's word count for the targets again; without any, for a removed cell under the pointer."""
        cells = self.seen.cells()
        if cells is not None and not len(self.targets) and not self.session.locked:
            removed = self._removed_here(cells)
            if removed is not None:
                self._edit("Take a correction back", cells.unsaid(*removed))
                return True
        cells, targets = self._ready()
        if cells is None:
            return False
        after = cells.unsaid(*cells.centres(targets))
        self._edit(f"Take back what was said of {count_text(len(targets))}", after)
        return True

    def _ready(self) -> tuple[CellParts | None, NDArray[np.int64]]:
        if self.refused():
            return None, _NOTHING
        cells = self.seen.cells()
        if cells is not None and len(self.chosen) and not cells.is_table(self.chosen.table):
            # A run has ended, or something was undone: the chosen cells are in another table now.
            self.chosen.follow(cells.table)
        targets = self.targets
        if cells is None or self.seen.shown(None) is None:
            self.state.message.emit(NO_CELLS if cells is None else HIDDEN)
            return None, _NOTHING
        if not len(targets):
            self.state.message.emit(NO_TARGET)
            return None, _NOTHING
        return cells, targets

    def _edit(self, text: str, after: CellCorrections) -> None:
        several = len(self.chosen) > 1
        if not after.same(self.session.cell_corrections):
            self.session.correct_cells(text, after)
        if several:
            # Done with: the next key speaks of the cell under the pointer again.
            self.chosen.clear()
        self.look_again()
        self.repaint()
        self.target_changed.emit()

    # -- canvas ---------------------------------------------------------------------------------------------------

    def activate(self, canvas: SlideCanvas) -> None:
        super().activate(canvas)
        canvas.viewport_changed.connect(self.look_again)
        if canvas.underMouse():
            # A key chose the tool: the pointer rests on a cell and has not moved yet.
            self._pointer = QPointF(canvas.mapFromGlobal(QCursor.pos()))
        self.look_again()

    def deactivate(self) -> None:
        if self.canvas is not None:
            self.canvas.viewport_changed.disconnect(self.look_again)
        self._pointer = self._hover = self._hover_of = None
        super().deactivate()
        self.target_changed.emit()

    @property
    def busy(self) -> bool:
        return bool(self._points)

    def wants_key(self, event: QKeyEvent) -> bool:
        return super().wants_key(event) or (self.seen.cells() is not None and self._meaning(event) is not None)

    def press(self, event: ToolEvent) -> bool:
        self._pointer = event.screen
        if event.button == Qt.MouseButton.RightButton:
            self.point_at(event.x, event.y, event.viewport)
            return False
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if self.refused():
            return True
        if self.seen.cells() is None or self.seen.shown(None) is None:
            self.state.message.emit(NO_CELLS if self.seen.cells() is None else HIDDEN)
            return True
        self._points, self._last = [(event.x, event.y)], event.screen
        # As in the plot of the cells.
        self._square = bool(event.modifiers & Qt.KeyboardModifier.ControlModifier)
        self._adding = bool(event.modifiers & Qt.KeyboardModifier.ShiftModifier)
        return True

    def move(self, event: ToolEvent) -> bool:
        self._pointer = event.screen
        if not self._points:
            self.point_at(event.x, event.y, event.viewport)
            return False
        if distance(event.screen, self._last) >= _STEP_PX:
            self._points.append((event.x, event.y))
            self._last = event.screen
            self.repaint()
        return True

    def release(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton or not self._points:
            return False
        points, self._points = self._drawn(event), []
        x, y = zip(*points, strict=True)
        if max(max(x) - min(x), max(y) - min(y)) * event.viewport.scale < CLICK_PX:
            self._choose_at(event)
        else:
            self._choose_in(Region.of((outline(points),)))
        self.point_at(event.x, event.y, event.viewport)
        return True

    def double_click(self, event: ToolEvent) -> bool:
        return self.press(event)

    def key(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Escape:
            return self.cancel()
        do = self._meaning(event) if self.seen.cells() is not None else None
        if do is None:
            return False
        do()
        return True

    def cancel(self) -> bool:
        if self._points:
            self._points = []
            self.repaint()
            return True
        if len(self.chosen) and self.canvas is not None:
            self.chosen.clear()
            return True
        return False

    def delete(self) -> bool:
        if self.seen.cells() is None:
            return False
        self.say(None)
        return True

    def _meaning(self, event: QKeyEvent) -> Callable[[], object] | None:
        if event.modifiers() & ~_PLAIN:
            return None
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            return lambda: self.say(None)
        key = chr(event.key()) if 0x20 < event.key() < 0x7F else ""
        if key == BACK_KEY:
            return self.take_back
        keys = class_keys(self.scheme) if self.scheme is not None else ()
        return (lambda: self.say(keys.index(key))) if key and key in keys else None

    # -- choosing -------------------------------------------------------------------------------------------------

    def point_at(self, x: float, y: float, viewport: Viewport) -> int | None:
        """The pointer is at a slide point (level-0 px); returns the cell there."""
        hover, cells = self._cell_at(x, y, viewport), self.seen.cells()
        if hover != self._hover or cells is not self._hover_of:
            self._hover, self._hover_of = hover, cells
            self.repaint()
            self.target_changed.emit()
        return hover

    def look_again(self) -> None:
        """The view, the cells or what is said of them changed under a pointer that rests: which cell is it now?"""
        if self.canvas is None or self._points:
            return
        if self._pointer is None:
            self._hover = self._hover_of = None
        else:
            view = self.canvas.viewport
            self.point_at(*view.to_slide(self._pointer.x(), self._pointer.y()), view)

    def _cell_at(self, x: float, y: float, viewport: Viewport) -> int | None:
        cells, shown = self.seen.cells(), self.seen.shown(viewport)
        if cells is None or shown is None or not self.session.region.contains_points(*_one(x, y)).all():
            return None
        return cells.nearest(x, y, self._reach(viewport), shown)

    def _reach(self, viewport: Viewport) -> float:
        size = self.session.pixel_size
        return min(_REACH_PX / viewport.scale, np.inf if size is None else _REACH_UM / size.mpp)

    def _removed_here(self, cells: CellParts) -> tuple[float, float] | None:
        """Centre of the removed cell under the pointer."""
        if self._pointer is None or self.canvas is None:
            return None
        view = self.canvas.viewport
        x, y = view.to_slide(self._pointer.x(), self._pointer.y())
        gone_x, gone_y = cells.centres(cells.removed)
        apart = np.hypot(gone_x - x, gone_y - y)
        if not len(apart) or apart.min() > self._reach(view):
            return None
        at = int(np.argmin(apart))
        return float(gone_x[at]), float(gone_y[at])

    def _choose_at(self, event: ToolEvent) -> None:
        # Ctrl and a click add, as with other tools: there is no rectangle to draw.
        self._adding |= self._square
        found, cells = self._cell_at(event.x, event.y, event.viewport), self.seen.cells()
        table = None if found is None or cells is None else cells.table
        if found is None or cells is None or table is None:
            if not self._adding:
                self.chosen.clear()
        else:
            one = cells.in_table(np.array([found]))
            self.chosen.follow(table)
            self.chosen.set(table, np.setxor1d(self.chosen.indices, one) if self._adding else one)
        self.target_changed.emit()

    def _choose_in(self, area: Region) -> None:
        cells, shown = self.seen.cells(), self.seen.shown(None)
        if cells is None or shown is None:
            return
        table = cells.table
        if table is None:
            return
        area = area.intersection(self.session.region)
        found = np.flatnonzero(area.contains_points(table.x, table.y))
        found = found[shown[table.classes[found]]]
        if self._adding:
            self.chosen.follow(table)
            found = np.union1d(found, self.chosen.indices)
        self.chosen.set(table, found)
        if not len(found):
            self.state.message.emit("There is no cell in what you drew round.")
        self.target_changed.emit()

    def _drawn(self, event: ToolEvent) -> list[tuple[float, float]]:
        if not self._square:
            return [*self._points, (event.x, event.y)]
        view = event.viewport
        a, b = QPointF(*view.to_screen(*self._points[0])), event.screen
        corners = ((a.x(), a.y()), (b.x(), a.y()), (b.x(), b.y()), (a.x(), b.y()))
        return [view.to_slide(*corner) for corner in corners]

    # -- painting -------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._points:
            self._paint_lasso(painter, viewport)
            return
        cells = self.seen.cells()
        if self._hover is None or cells is None or cells is not self._hover_of:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        contour = [(float(x), float(y)) for x, y in cells.contour(self._hover)]
        shape = QPolygonF(to_screen(contour, viewport))
        x, y = cells.centres(np.array([self._hover]))
        centre = QPointF(*viewport.to_screen(float(x[0]), float(y[0])))
        for pen in (QPen(QColor(0, 0, 0, 170), 4.5), QPen(_LINE, 2.0)):
            painter.setPen(pen)
            if len(contour) > 2:
                painter.drawPolygon(shape)
            else:
                painter.drawEllipse(centre, 8.0, 8.0)

    def _paint_lasso(self, painter: QPainter, viewport: Viewport) -> None:
        line = to_screen(self._points, viewport)
        if self._square and self._pointer is not None:
            a, b = line[0], self._pointer
            paint_outline(painter, [a, QPointF(b.x(), a.y()), b, QPointF(a.x(), b.y())], _LINE)
        elif len(line) > 1:
            paint_outline(painter, line, _LINE, closed=False)
            painter.setPen(QPen(_LINE, 1.0, Qt.PenStyle.DashLine))
            painter.drawLine(line[0], line[-1])


def _one(x: float, y: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([x]), np.array([y])
