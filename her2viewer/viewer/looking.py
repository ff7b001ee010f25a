"""Keys that lead the eye: to what decides, and to the bare tissue while H is held."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent

from her2viewer.guidelines.decision import deciding_classes
from her2viewer.scoring.certainty import DecidingPatch
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.fields import densest_field
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.overlays.patch_mark import PatchMarkLayer
from her2viewer.viewer.scoring_controller import ScoringController
from her2viewer.viewer.second_press import SecondPress
from her2viewer.viewer.session import Session

_CLOSE_LOOK = 20.0
"""Magnification at which G shows the deciding field, where the view is coarser."""


_FAINT_LOOK = 40.0
"""Faint membranes are judged at this magnification."""


class Looking(QObject):
    """Moves the view of one canvas."""

    def __init__(
        self,
        session: Session,
        canvas: SlideCanvas,
        controller: ScoringController,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._canvas = canvas
        self._controller = controller
        self._messages = messages
        self._held = False
        self._before = False
        self._mark = PatchMarkLayer(self)
        canvas.add_layer(self._mark)
        session.slide_changed.connect(lambda _: self._mark.set_patch(None))
        controller.evidence_changed.connect(lambda _: self._mark.set_patch(None))
        canvas.installEventFilter(self)
        SecondPress(canvas)

    def go_decisive(self) -> None:
        """Show the field with most tumour of the class that decided."""
        decision = self._controller.decision
        if decision is None:
            self._messages.show_message("There is no answer yet: run the scorer first (Enter).")
            return
        classes = deciding_classes(decision)
        pixel_size = self._session.pixel_size
        view = self._canvas.viewport
        downsample = view.downsample
        if pixel_size is not None:
            downsample = min(downsample, pixel_size.magnification / _CLOSE_LOOK)
        size = (view.width * downsample, view.height * downsample)
        point = densest_field(self._controller.evidence, self._session.region, classes, *size) if classes else None
        if point is None:
            self._messages.show_message("No single place decides: there is no tumour of the deciding class to show.")
            return
        middle = view.zoomed(downsample, view.width / view.dpr / 2, view.height / view.dpr / 2)
        self._canvas.set_viewport(middle.centred(*point))

    def show_patch(self, patch: DecidingPatch) -> None:
        """Bring a patch to the middle, close enough to judge it, and frame it."""
        pixel_size = self._session.pixel_size
        view = self._canvas.viewport
        downsample = view.downsample
        if pixel_size is not None:
            power = _FAINT_LOOK if patch.her2 == 1 else _CLOSE_LOOK
            downsample = min(downsample, pixel_size.magnification / power)
        self._mark.set_patch(patch)
        middle = view.zoomed(downsample, view.width / view.dpr / 2, view.height / view.dpr / 2)
        self._canvas.set_viewport(middle.centred(patch.x, patch.y))

    def set_overlays(self, shown: bool) -> None:
        """Show or hide all overlays (the key O)."""
        self._canvas.overlays_hidden = not shown

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) and isinstance(event, QKeyEvent):
            plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
            if event.key() == Qt.Key.Key_H and (plain or self._held):
                if not event.isAutoRepeat():
                    self._hold(kind == QEvent.Type.KeyPress)
                return True
        elif kind == QEvent.Type.FocusOut:
            # The release of a key goes to whoever has the focus then: never leave the overlays hidden.
            self._hold(False)
        return False

    def _hold(self, held: bool) -> None:
        if held and not self._held:
            self._before = self._canvas.overlays_hidden
            self._canvas.overlays_hidden = True
        elif self._held and not held:
            self._canvas.overlays_hidden = self._before
        self._held = held
