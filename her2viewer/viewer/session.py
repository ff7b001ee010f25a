"""The document of the window: the open slide, its confirmed pixel size, the annotations and their undo stack."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import Annotation, AnnotationSet
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS, CellCorrections
from her2viewer.domain.corrections import NO_CORRECTIONS, Corrections
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.slides.slide import Slide


class _SetAnnotations(QUndoCommand):
    """One edit: immutable values before and after, so that undo is exact."""

    def __init__(self, session: Session, text: str, after: AnnotationSet, selection: tuple[str, ...]) -> None:
        super().__init__(text)
        self._session = session
        self._before = session.annotations
        self._before_selection = session.selection
        self._after = after
        self._after_selection = selection

    def redo(self) -> None:
        self._session._apply(self._after, self._after_selection)

    def undo(self) -> None:
        self._session._apply(self._before, self._before_selection)


class _SetCorrections(QUndoCommand):
    """One stroke on the tumour mask."""

    def __init__(self, session: Session, text: str, after: Corrections) -> None:
        super().__init__(text)
        self._session = session
        self._before, self._after = session.corrections, after

    def redo(self) -> None:
        self._session._correct(self._after)

    def undo(self) -> None:
        self._session._correct(self._before)


class _SetCellCorrections(QUndoCommand):
    """One word of the reader on one cell or many."""

    def __init__(self, session: Session, text: str, after: CellCorrections) -> None:
        super().__init__(text)
        self._session = session
        self._before, self._after = session.cell_corrections, after

    def redo(self) -> None:
        self._session._correct_cells(self._after)

    def undo(self) -> None:
        self._session._correct_cells(self._before)


class Session(QObject):
    """Main-thread model that canvas, tools and panels observe. Holds values; reads no file."""

    slide_changed = Signal(object)
    """Slide | None: another slide is open, or none."""
    pixel_size_changed = Signal(object)
    """PixelSize | None."""
    annotations_changed = Signal(object)
    """AnnotationSet after an edit, an undo or a redo."""
    region_changed = Signal(object)
    """Region: the region to be scored, also **while** an edit is being dragged (preview)."""
    selection_changed = Signal(object)
    """tuple[str, ...] of annotation ids."""
    locked_changed = Signal(bool)
    corrections_changed = Signal(object)
    """Corrections of the tumour mask after a stroke, an undo or a redo."""
    correction_dropped = Signal()
    """A stroke that was being drawn came to nothing."""
    corrected_live = Signal(object, bool)
    """A piece of a stroke that is still being drawn (shapely area, level-0 px), and whether it adds tumour."""
    cell_corrections_changed = Signal(object)
    """CellCorrections after an edit, an undo or a redo."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.slide: Slide | None = None
        self.pixel_size: PixelSize | None = None
        self.annotations = AnnotationSet()
        self.selection: tuple[str, ...] = ()
        self.region = Region.of(())
        self.corrections = NO_CORRECTIONS
        self.cell_corrections = NO_CELL_CORRECTIONS
        self.locked = False
        """A signed case: edits are refused until it is amended."""

    def set_slide(
        self,
        slide: Slide | None,
        pixel_size: PixelSize | None,
        annotations: AnnotationSet,
        corrections: Corrections = NO_CORRECTIONS,
        cell_corrections: CellCorrections = NO_CELL_CORRECTIONS,
    ) -> None:
        """Show another slide with annotations and corrections of its case; the undo history starts anew."""
        self.undo_stack.clear()
        self.slide, self.pixel_size = slide, pixel_size
        self.annotations, self.selection = AnnotationSet(), ()
        self.slide_changed.emit(slide)
        self.pixel_size_changed.emit(pixel_size)
        self._apply(annotations, ())
        self._correct(corrections)
        self._correct_cells(cell_corrections)

    def set_pixel_size(self, pixel_size: PixelSize) -> None:
        """The reader confirmed or entered the pixel size."""
        self.pixel_size = pixel_size
        self.pixel_size_changed.emit(pixel_size)

    def edit(self, text: str, annotations: AnnotationSet, selection: Iterable[str] | None = None) -> None:
        """One undoable edit; ``text`` is what the Undo entry says ("Draw polygon")."""
        if self.locked:
            return
        chosen = self.selection if selection is None else tuple(selection)
        self.undo_stack.push(_SetAnnotations(self, text, annotations, chosen))

    def add(self, annotation: Annotation, text: str) -> None:
        """Add one annotation and select it, undoable."""
        self.edit(text, self.annotations.added(annotation), (annotation.id,))

    def preview(self, annotations: AnnotationSet) -> None:
        """While a drag is on: let the numbers follow without an undo step. The drag ends with ``edit``."""
        self._set_region(annotations.region())

    def preview_region(self, region: Region) -> None:
        """As ``preview`` of annotations that have this region."""
        self._set_region(region)

    def correct(self, text: str, corrections: Corrections) -> None:
        """One undoable stroke on the tumour mask."""
        if not self.locked:
            self.undo_stack.push(_SetCorrections(self, text, corrections))

    def correct_cells(self, text: str, corrections: CellCorrections) -> None:
        """One undoable word of the reader on cells."""
        if not self.locked:
            self.undo_stack.push(_SetCellCorrections(self, text, corrections))

    def preview_correction(self, area: BaseGeometry, tumour: bool) -> None:
        """While a stroke is drawn: let mask and numbers follow. It ends with ``correct`` or ``drop_correction``."""
        self.corrected_live.emit(area, tumour)

    def drop_correction(self) -> None:
        """The stroke came to nothing: mask and numbers as they were before it."""
        self.correction_dropped.emit()

    def select(self, ids: Iterable[str]) -> None:
        """Change the selection; not an undo step."""
        known = {a.id for a in self.annotations}
        chosen = tuple(i for i in ids if i in known)
        if chosen != self.selection:
            self.selection = chosen
            self.selection_changed.emit(chosen)

    def set_locked(self, locked: bool) -> None:
        """Lock or unlock all edits (sign-off)."""
        if locked != self.locked:
            self.locked = locked
            self.locked_changed.emit(locked)

    def _apply(self, annotations: AnnotationSet, selection: tuple[str, ...]) -> None:
        annotations.follow(self.annotations)
        self.annotations = annotations
        self.annotations_changed.emit(annotations)
        self._set_region(annotations.region())
        known = {a.id for a in annotations}
        chosen = tuple(i for i in selection if i in known)
        self.selection = chosen
        self.selection_changed.emit(chosen)

    def _correct(self, corrections: Corrections) -> None:
        if corrections is not self.corrections:
            self.corrections = corrections
            self.corrections_changed.emit(corrections)

    def _correct_cells(self, corrections: CellCorrections) -> None:
        if corrections is not self.cell_corrections:
            self.cell_corrections = corrections
            self.cell_corrections_changed.emit(corrections)

    def _set_region(self, region: Region) -> None:
        if region.changed_from(self.region) is not None:
            self.region = region
            self.region_changed.emit(region)
