"""One further view: its strip, its canvas, and what is shown in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from her2viewer.cases.alignment_file import AlignedSlide
from her2viewer.domain.alignment import Point
from her2viewer.domain.corrections import Bounds
from her2viewer.domain.evidence import CellTable, Evidence
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.slides.mirrored import MirroredSlide
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.loader import TileLoader, worker_count
from her2viewer.viewer.compare.aligner import Aligner
from her2viewer.viewer.compare.canvas import FollowingCanvas
from her2viewer.viewer.compare.header import ViewHeader, zoom_text
from her2viewer.viewer.compare.layers import GhostLayer, LandmarkLayer, MappedLayer
from her2viewer.viewer.opening import SlideExtras
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.overlays.legend import LegendWidget
from her2viewer.viewer.second_press import SecondPress


class Kind(StrEnum):
    """What a further view shows."""

    PLAIN = "plain"
    """The same slide without overlays."""
    SCORER = "scorer"
    """The same slide with the result of one scorer."""
    OTHER = "other"
    """Another slide."""


class Faces:
    """Everything through which one slide file may be read in a view: as it is, and mirrored."""

    def __init__(self, loader: TileLoader, faces: Iterable[Slide]) -> None:
        self._loader = loader
        self._faces = tuple(faces)

    def wait_released(self, slide: Slide, timeout: float | None = None) -> bool:
        """Block until no worker of the view reads the file; for the thread that closes it."""
        return all(self._loader.wait_released(face, timeout) for face in (slide, *self._faces))


class FurtherView(QWidget):
    """A view beside the main one. Main thread; another slide is opened by the opener of the grid."""

    close_clicked = Signal()
    link_changed = Signal()
    """It moves with the main view from now on, or alone."""
    aligned = Signal(object)
    """AlignedSlide: the reader changed how the other slide lies."""
    message = Signal(str)

    def __init__(self, kind: Kind, leader: SlideCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = kind
        self.scorer = ""
        """Id, where the result of a scorer is shown."""
        self.path: Path | None = None
        """Of another slide, as soon as it is asked for."""
        self.other: Slide | None = None
        """Another slide, as it is on file."""
        self.extras: SlideExtras | None = None
        self.aligner: Aligner | None = None
        self._mirror: MirroredSlide | None = None
        self._leader = leader
        self._icc = False
        self.corrected = False
        """Shows the main slide through its colour profile."""
        self.header = ViewHeader(self)
        self.canvas = FollowingCanvas(leader, self, max(1, worker_count() // 2))
        SecondPress(self.canvas)
        self.canvas.motion.enabled = leader.motion.enabled
        self.canvas.outside_color = leader.outside_color
        self.canvas.setAccessibleName("Further view")
        self.evidence: EvidenceLayers | None = None
        self._shown: tuple[Evidence, ...] = ()
        self.landmarks = LandmarkLayer(self)
        self.canvas.add_layer(self.landmarks)
        self.ghost = GhostLayer(self.canvas)
        self._outlines: list[MappedLayer] = []
        self._words = QLabel()
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words.setWordWrap(True)
        self._words.setProperty("role", "muted")
        self._choose = QPushButton("Choose a slide...")
        self._choose.hide()
        self._page = QWidget()
        page = QVBoxLayout(self._page)
        page.addStretch(1)
        page.addWidget(self._words)
        page.addWidget(self._choose, 0, Qt.AlignmentFlag.AlignHCenter)
        page.addStretch(1)
        self._pages = QStackedLayout()
        self._pages.addWidget(self.canvas)
        self._pages.addWidget(self._page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addLayout(self._pages, 1)
        self.header.close_clicked.connect(self.close_clicked)
        self.header.flip_clicked.connect(lambda: self.aligner.flip() if self.aligner is not None else None)
        self.header.link_toggled.connect(self.set_linked)
        self.canvas.viewport_changed.connect(lambda _: self.show_zoom())
        self.canvas.message.connect(self.message)

    # -- what is shown --------------------------------------------------------------------------------------------

    def show_same(self, slide: Slide, pixel_size: PixelSize | None) -> None:
        """The slide of the main view, bare."""
        self.canvas.set_slide(slide, pixel_size)
        self.header.set_text(slide.path.name, "no overlay")
        self.show_zoom()

    def show_scorer(self, slide: Slide, pixel_size: PixelSize | None, scorer: str, title: str, palette: str) -> None:
        """The slide of the main view with what one scorer found on it."""
        self.scorer = scorer
        self.canvas.set_slide(slide, pixel_size)
        self.evidence = EvidenceLayers(self.canvas, LegendWidget(self.canvas), self)
        self.evidence.set_palette(palette)
        self.evidence.set_slide(slide.width, slide.height)
        self.hide_overlays(self._leader.overlays_hidden)
        self.header.set_text(title, slide.path.name)
        self.show_zoom()

    def show_evidence(self, evidence: tuple[Evidence, ...], region: Region, scored: Region) -> None:
        """What the scorer knows, inside the region of the reader."""
        if self.evidence is None:
            return
        # While a region is drawn only its outline changes: layers are not made anew for that.
        if len(evidence) != len(self._shown) or any(a is not b for a, b in zip(evidence, self._shown, strict=True)):
            self._shown = evidence
            self.evidence.replace(evidence)
        self.evidence.set_region(region, scored)

    def correct_evidence(self, changed: tuple[Evidence, ...], box: Bounds, evidence: tuple[Evidence, ...]) -> None:
        """Tumour masks and class maps in place of those shown; ``evidence`` is all that is shown with them."""
        if self.evidence is not None:
            self.evidence.correct(changed, box)
            self._shown = evidence

    def correct_cells(self, patch: CellTable, evidence: tuple[Evidence, ...]) -> None:
        """Cells as the reader corrected them; ``evidence`` is all that is shown with them."""
        if self.evidence is not None:
            self.evidence.correct_cells(patch)
            self._shown = evidence

    def add_evidence(self, evidence: tuple[Evidence, ...]) -> None:
        """A part of what the scorer finds, while it runs."""
        if self.evidence is not None:
            self.evidence.append(evidence)
            self._shown = (*self._shown, *evidence)

    def hide_overlays(self, hidden: bool) -> None:
        """Bare tissue for the moment, with the main view."""
        self.canvas.overlays_hidden = hidden
        if self.evidence is not None:
            self.evidence.set_all_hidden(hidden)

    def offer(self, choose: Callable[[], None]) -> None:
        """Nothing yet, and a button that asks for a slide."""
        self.header.set_text("Empty view")
        self._words.setText("H&E, a control or another stain of the same tissue can be shown here.")
        self._choose.clicked.connect(lambda _=False: choose())
        self._choose.show()
        self._pages.setCurrentWidget(self._page)

    def show_opening(self, path: Path) -> None:
        """Another slide is on its way."""
        self._choose.hide()
        self.path = path
        self.header.set_text(path.name, "opening...")
        self._words.setText(f"Opening {path.name}...")
        self._pages.setCurrentWidget(self._page)

    def show_failure(self, text: str) -> None:
        """Another slide cannot be shown, and why."""
        self.header.set_text(self.path.name if self.path is not None else "", "cannot be shown")
        self._words.setText(text)
        self._pages.setCurrentWidget(self._page)

    def show_other(self, slide: Slide, extras: SlideExtras, known: AlignedSlide | None) -> None:
        """Another slide, as the case knows it or middle on middle."""
        main = self._leader.slide
        assert main is not None
        self.other, self.extras, self.path = slide, extras, slide.path
        size, main_size = extras.pixel_size, self._leader.pixel_size
        scale = main_size.mpp / size.mpp if size is not None and main_size is not None else None
        self.aligner = Aligner((main.width, main.height), (slide.width, slide.height), scale, self)
        if known is not None:
            self.aligner.restore(known.alignment)
        else:
            self.aligner.guess_from(self._leader.viewport.cx, self._leader.viewport.cy)
        self.aligner.changed.connect(self._show_alignment)
        self.aligner.settled.connect(self._tell_alignment)
        self.aligner.refused.connect(self.message)
        self.header.flip.setVisible(True)
        self._pages.setCurrentWidget(self.canvas)
        self._show_alignment()

    def set_outlines(self, *layers: Layer) -> None:
        """Draw the outlines of the main slide here too, as soon as it is known where they lie."""
        self._outlines = [MappedLayer(layer, self.canvas.leading_view, self) for layer in layers]
        for mapped in self._outlines:
            mapped.visible = False
            self.canvas.add_layer(mapped)
        self._show_outlines()

    def set_icc(self, wanted: bool) -> None:
        """Show another slide with its colour profile, or its raw colours."""
        self._icc = wanted
        if self.extras is not None and self.canvas.slide is not None:
            self.canvas.set_display_transform(self.extras.display_transform if wanted else None)

    def set_linked(self, linked: bool) -> None:
        """Move with the main view, or alone."""
        self.canvas.linked = linked
        self.header.set_linked(linked)
        self.link_changed.emit()

    def show_zoom(self) -> None:
        """In the strip."""
        shown = self.canvas.slide is not None
        self.header.set_zoom(zoom_text(self.canvas.magnification, self.canvas.viewport.downsample) if shown else "")

    # -- aligning -------------------------------------------------------------------------------------------------

    def mark(self, x: float, y: float) -> None:
        """The reader marked a place of the slide that is displayed here, level-0 px."""
        if self.aligner is not None:
            self.aligner.mark_there(*self._on_file((x, y)))

    def displayed(self, point: Point) -> Point:
        """A place of the other slide as it is on file, on the slide as it is displayed; and the other way round."""
        return self._on_file(point)

    def take(self) -> None:
        """What both views show now lies on each other."""
        if self.aligner is not None:
            self.aligner.take(self._leader.viewport, self.canvas.viewport)

    def _on_file(self, point: Point) -> Point:
        if self.other is not None and self.aligner is not None and self.aligner.alignment.transform.flip:
            return (self.other.width - point[0], point[1])
        return point

    def _show_alignment(self) -> None:
        aligner, slide = self.aligner, self.other
        if aligner is None or slide is None or self.extras is None:
            return
        transform = aligner.alignment.transform
        face: Slide = slide
        if transform.flip:
            self._mirror = self._mirror or MirroredSlide(slide)
            face, transform = self._mirror, transform.on_mirrored(slide.width)
        self.canvas.alignment = transform
        if self.canvas.slide is not face:
            self.canvas.set_slide(face, self.extras.pixel_size)
            self.set_icc(self._icc)
        marks = [self.displayed(mark.there) for mark in aligner.alignment.landmarks]
        pending = aligner.pending_there
        self.landmarks.set_points(marks, None if pending is None else self.displayed(pending))
        size = self._leader.pixel_size
        self.header.set_text(slide.path.name, aligner.words(None if size is None else size.mpp))
        self._show_outlines()
        self.show_zoom()

    def _show_outlines(self) -> None:
        for mapped in self._outlines:
            mapped.visible = self.aligner is not None and self.aligner.alignment.known
            self.canvas.schedule()

    def _tell_alignment(self) -> None:
        if self.aligner is not None and self.other is not None:
            self.aligned.emit(AlignedSlide(str(self.other.path), self.other.identity, self.aligner.alignment))

    # -- leaving --------------------------------------------------------------------------------------------------

    def leave(self) -> tuple[Slide | None, Faces]:
        """Show nothing any more. Returns the other slide, which is now the caller's to close, and who reads it."""
        other, self.other = self.other, None
        faces = Faces(self.canvas.loader, () if self._mirror is None else (self._mirror,))
        if self.evidence is not None:
            self.evidence.clear()
        self.canvas.set_slide(None)
        return other, faces

    def shutdown(self) -> None:
        """End the workers."""
        self.canvas.shutdown()
