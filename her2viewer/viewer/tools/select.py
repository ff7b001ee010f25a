"""Select: a click selects, a drag moves what is selected, handles move corners. Elsewhere the canvas pans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent, QPainter

from her2viewer.domain import editing
from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.editing import Vertex
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.drawing_state import DrawingState
from her2viewer.viewer.tools.drawing_tool import CLICK_PX, SessionTool, distance
from her2viewer.viewer.tools.handles import corners_in_view, paint_handles
from her2viewer.viewer.tools.hit import annotation_at
from her2viewer.viewer.tools.measure import area_text
from her2viewer.viewer.tools.preview import Previewer, is_area

if TYPE_CHECKING:
    from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer

HANDLE_PX = 8.0
"""How near the pointer must be to a handle, logical px."""
NUDGE_COMMIT_MS = 600
LOCKED_ONE = "This region is locked. Unlock it in its menu in the list of regions first."
GONE = "That would put the region outside the slide."

ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class SelectTool(SessionTool):
    """Selects, moves and reshapes annotations."""

    id = "select"
    title = "Select"
    cursor = Qt.CursorShape.ArrowCursor

    def __init__(self, session: Session, state: DrawingState, previewer: Previewer | None = None) -> None:
        super().__init__(session, state, previewer)
        self.layer: AnnotationLayer | None = None
        """The layer that shows the annotations: what it hides cannot be picked. None for always shown."""
        self.clicked: Callable[[ToolEvent], object] = lambda _event: None
        """Called with a click, after outlines were selected by it."""
        self._menu_taken = False
        self._press: ToolEvent | None = None
        self._hit: Annotation | None = None
        self._dragging = False
        self._before: tuple[Annotation, ...] = ()
        self._after: tuple[Annotation, ...] = ()
        self._corner: Vertex | None = None
        self._hot: Vertex | None = None
        self._text = ""
        self._viewport: Viewport | None = None
        self._nudge = (0.0, 0.0)
        self._nudge_timer = QTimer()
        self._nudge_timer.setSingleShot(True)
        self._nudge_timer.timeout.connect(self._commit_nudge)
        session.selection_changed.connect(self._selection_changed)
        session.annotations_changed.connect(lambda _annotations: self.cancel())

    # --- pointer -----------------------------------------------------------------------------------------------

    def press(self, event: ToolEvent) -> bool:
        self._commit_nudge()
        if event.button == Qt.MouseButton.RightButton:
            return self._right_press(event)
        if event.button != Qt.MouseButton.LeftButton:
            return False
        self._press, self._dragging, self._viewport = event, False, event.viewport
        corner = self._handle_at(event)
        if corner is not None:
            return self._grab_corner(corner, "Move corner")
        if event.modifiers & Qt.KeyboardModifier.AltModifier and self._insert(event):
            return True
        self._hit = self.pick(event)
        return True

    def move(self, event: ToolEvent) -> bool:
        press = self._press
        self._viewport = event.viewport
        if press is None or not event.buttons & Qt.MouseButton.LeftButton:
            self._hover(event)
            return False
        if not self._dragging:
            if distance(event.screen, press.screen) < CLICK_PX:
                return True
            self._dragging = True
            # Only what is selected already moves: a drag that is meant to pan cannot displace a region.
            if self._corner is None and self._on_selected() and not self._grab_selected():
                self._press = None
                return True
        if self._corner is not None:
            one = self._before[0]
            self._after = (one.with_geometry(editing.move_vertex(one.geometry, self._corner, event.x, event.y)),)
        elif self._before:
            dx, dy = event.x - press.x, event.y - press.y
            self._after = tuple(a.with_geometry(editing.move(a.geometry, dx, dy)) for a in self._before)
        else:
            self._forget()
            if self.canvas is not None:
                self.canvas.pan_instead(press.screen, event.screen)
            return True
        self.previewer.show(*self._after)
        self.repaint()
        return True

    def release(self, event: ToolEvent) -> bool:
        if self._press is None or event.button != Qt.MouseButton.LeftButton:
            return event.button == Qt.MouseButton.RightButton
        if self._before:
            self._commit()
        elif not self._dragging:
            self._click(event)
            self.clicked(event)
        self._forget()
        self._hover(event)
        return True

    def double_click(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if self._insert(event):
            self._press = event
            return True
        hit = self.pick(event)
        if hit is not None and hit.role is Role.NOTE:
            if not self.refused():
                self.state.note_edit_asked.emit(hit.id)
            return True
        if self.canvas is not None:
            self.canvas.zoom_by(1.0, event.screen)
        return True

    def takes_menu(self) -> bool:
        taken, self._menu_taken = self._menu_taken, False
        return taken

    def pick(self, event: ToolEvent) -> Annotation | None:
        """What lies under the pointer and is shown."""
        if not self._shown():
            return None
        return annotation_at(self.session.annotations, event.x, event.y, event.viewport)

    # --- keys --------------------------------------------------------------------------------------------------

    def key(self, event: QKeyEvent) -> bool:
        arrow = ARROWS.get(Qt.Key(event.key()))
        if arrow is not None and self.session.selection:
            return self._nudge_by(*arrow, event.modifiers())
        if event.key() == Qt.Key.Key_Escape:
            return self.cancel()
        return event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self.delete()

    @property
    def busy(self) -> bool:
        return bool(self._before)

    def wants_key(self, event: QKeyEvent) -> bool:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            return self._hot is not None
        return super().wants_key(event)

    def delete(self) -> bool:
        return self._hot is not None and self._remove(self._hot)

    def cancel(self) -> bool:
        busy = bool(self._before)
        self._nudge_timer.stop()
        self._nudge = (0.0, 0.0)
        self._forget()
        if busy:
            self.previewer.stop()
            self.repaint()
        return busy

    def deactivate(self) -> None:
        self._commit_nudge()
        self._hot = None
        super().deactivate()

    # --- paint -------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        self._viewport = viewport
        one = self._one_selected()
        if one is None or one.locked or self.session.locked or not self._shown():
            return
        part = painter.clipBoundingRect() if painter.hasClipping() else None
        paint_handles(painter, corners_in_view(one.geometry, viewport, part), self._hot)

    def readout(self) -> str | None:
        if not self._after or self._after[0].role is Role.NOTE:
            return None
        return area_text(sum(a.geometry.area for a in self._after), self.session.pixel_size)

    # --- doing -------------------------------------------------------------------------------------------------

    def _on_selected(self) -> bool:
        """Whether the press was on something selected, without Shift."""
        return (
            self._press is not None
            and self._hit is not None
            and self._hit.id in self.session.selection
            and not self._press.modifiers & Qt.KeyboardModifier.ShiftModifier
        )

    def _right_press(self, event: ToolEvent) -> bool:
        corner = self._handle_at(event)
        self._menu_taken = corner is not None and self._remove(corner)
        if not self._menu_taken:
            # The menu that opens is about what was clicked.
            hit = self.pick(event)
            if hit is not None and hit.id not in self.session.selection:
                self.session.select((hit.id,))
        return self._menu_taken

    def _click(self, event: ToolEvent) -> None:
        selection = self.session.selection
        if self._hit is None:
            if not event.modifiers & Qt.KeyboardModifier.ShiftModifier:
                self.session.select(())
        elif event.modifiers & Qt.KeyboardModifier.ShiftModifier:
            others = tuple(i for i in selection if i != self._hit.id)
            self.session.select(others if self._hit.id in selection else (*others, self._hit.id))
        else:
            self.session.select((self._hit.id,))

    def _grab_selected(self) -> bool:
        """Take up the selected annotations that may be moved."""
        if self.refused():
            return False
        chosen = [a for a in self.session.annotations if a.id in self.session.selection]
        movable = tuple(a for a in chosen if not a.locked)
        if not movable:
            self.state.message.emit(LOCKED_ONE)
            return False
        self._before, self._text = movable, "Move note" if movable[0].role is Role.NOTE else "Move region"
        self.previewer.start(a.id for a in movable)
        return True

    def _grab_corner(self, corner: Vertex, text: str) -> bool:
        one = self._one_selected()
        if one is None or self._refused_one(one):
            self._press = None
            return True
        self._before, self._after, self._corner, self._text = (one,), (), corner, text
        self._hot = corner
        self.previewer.start((one.id,))
        return True

    def _insert(self, event: ToolEvent) -> bool:
        """Put a new corner on the edge under the pointer and take hold of it."""
        one = self._one_selected()
        if one is None:
            return False
        edge = editing.nearest_edge(one.geometry, event.x, event.y)
        if edge is None or edge.distance * event.viewport.scale > HANDLE_PX:
            return False
        if self._refused_one(one):
            return True
        longer = editing.insert_vertex(one.geometry, edge.after, edge.x, edge.y)
        found = editing.nearest_vertex(longer, edge.x, edge.y)
        if found is None:
            return False
        self._before, self._corner, self._text = (one.with_geometry(longer),), found[0], "Add corner"
        self._after = self._before
        self._hot = found[0]
        self.previewer.start((one.id,))
        self.previewer.show(*self._after)
        self.repaint()
        return True

    def _remove(self, corner: Vertex) -> bool:
        one = self._one_selected()
        if one is None:
            return False
        if self._refused_one(one):
            return True
        smaller = editing.remove_vertex(one.geometry, corner)
        self._hot = None
        if not is_area(smaller):
            self.state.message.emit("A region needs three corners. Press Delete away from the corner to delete it.")
            return True
        self.session.edit("Remove corner", self.session.annotations.replaced(one.with_geometry(smaller)))
        self.repaint()
        return True

    def _commit(self) -> None:
        """One undo step for the gesture that ends here."""
        after = [a.with_geometry(self.on_slide(a.geometry)) for a in self._after]
        text = self._text
        self._forget()
        if not after:
            self.previewer.stop()
            return
        if any(a.geometry.is_empty for a in after):
            self.previewer.stop()
            self.state.message.emit(GONE)
            return
        annotations = self.session.annotations
        for a in after:
            annotations = annotations.replaced(a)
        self.previewer.stop(commit=True)
        self.session.edit(text, annotations)
        self.repaint()

    def _nudge_by(self, right: int, down: int, modifiers: Qt.KeyboardModifier) -> bool:
        viewport = self._viewport
        if viewport is None:
            return False
        if not self._nudge_timer.isActive() and not self._grab_selected():
            return True
        px = 10.0 if modifiers & Qt.KeyboardModifier.ShiftModifier else 1.0
        x0, y0 = viewport.to_slide(0, 0)
        x1, y1 = viewport.to_slide(right * px, down * px)
        self._nudge = (self._nudge[0] + x1 - x0, self._nudge[1] + y1 - y0)
        self._after = tuple(a.with_geometry(editing.move(a.geometry, *self._nudge)) for a in self._before)
        self.previewer.show(*self._after)
        self.repaint()
        # Held keys are one gesture and so one undo step.
        self._nudge_timer.start(NUDGE_COMMIT_MS)
        return True

    def _commit_nudge(self) -> None:
        if self._nudge != (0.0, 0.0):
            self._nudge_timer.stop()
            self._nudge = (0.0, 0.0)
            self._commit()

    def _forget(self) -> None:
        self._press, self._hit, self._corner = None, None, None
        self._before, self._after = (), ()
        self._dragging = False

    # --- looking -----------------------------------------------------------------------------------------------

    def _refused_one(self, one: Annotation) -> bool:
        if self.refused():
            return True
        if one.locked:
            self.state.message.emit(LOCKED_ONE)
        return one.locked

    def _one_selected(self) -> Annotation | None:
        """The selected annotation as it looks right now, if it is the only one and has corners."""
        if len(self.session.selection) != 1:
            return None
        chosen = self.session.selection[0]
        one = self.state.live.get(chosen) or self.session.annotations.get(chosen)
        return None if one is None or one.role is Role.NOTE else one

    def _handle_at(self, event: ToolEvent) -> Vertex | None:
        one = self._one_selected()
        if one is None or one.locked or self.session.locked or not self._shown():
            return None
        handles = corners_in_view(one.geometry, event.viewport)
        near = min(handles, key=lambda h: distance(h[1], event.screen), default=None)
        return near[0] if near is not None and distance(near[1], event.screen) <= HANDLE_PX else None

    def _hover(self, event: ToolEvent) -> None:
        hot = self._handle_at(event)
        if hot != self._hot:
            self._hot = hot
            self.repaint()
        if hot is not None:
            self._set_cursor(Qt.CursorShape.CrossCursor)
            return
        hit = self.pick(event)
        if hit is None:
            self._set_cursor(Qt.CursorShape.ArrowCursor)
        elif hit.id in self.session.selection and not hit.locked and not self.session.locked:
            self._set_cursor(Qt.CursorShape.SizeAllCursor)
        else:
            self._set_cursor(Qt.CursorShape.PointingHandCursor)

    def _set_cursor(self, shape: Qt.CursorShape) -> None:
        if shape != self.cursor:
            self.cursor = shape
            if self.canvas is not None:
                self.canvas.setCursor(shape)

    def _shown(self) -> bool:
        """What is hidden can be neither picked nor changed."""
        if self.canvas is not None and self.canvas.overlays_hidden:
            return False
        return self.layer is None or self.layer.visible

    def _selection_changed(self, _ids: tuple[str, ...]) -> None:
        self._hot = None
        self.repaint()
