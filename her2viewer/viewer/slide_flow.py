"""From a path to a slide on the screen: open, load its case, ask for the pixel size, close what was there before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from her2viewer.domain.annotation import AnnotationSet
from her2viewer.domain.cell_corrections import NO_CELL_CORRECTIONS
from her2viewer.domain.corrections import NO_CORRECTIONS
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.case_keeper import CaseKeeper
from her2viewer.viewer.case_loading import LoadedCase, load_case
from her2viewer.viewer.case_sync import CaseSync
from her2viewer.viewer.dialogs.pixel_size import PixelSizeDialog
from her2viewer.viewer.messages import Messages
from her2viewer.viewer.opening import Releases, SlideExtras, SlideOpener
from her2viewer.viewer.recent import RecentSlides
from her2viewer.viewer.session import Session
from her2viewer.viewer.startup import copy_sample
from her2viewer.viewer.storage import Storage

_CASE_FOLDER = ".her2case"
SLIDE_FILTERS = (
    "Slides and images (*.svs *.tif *.tiff *.btf *.ndpi *.mrxs *.scn *.bif *.vms *.vmu *.svslide *.dcm *.czi "
    "*.ome.tif *.ome.tiff *.png *.jpg *.jpeg *.bmp);;All files (*)"
)


class SlideFlow(QObject):
    """Main thread; files are read by the opener's and the storage thread."""

    opening_changed = Signal(str)
    """Name of what is being opened, "" when nothing is."""
    shown = Signal(object)
    """SlideExtras of the slide that is now shown, or None when it was closed."""

    def __init__(
        self,
        window: QWidget,
        *,
        session: Session,
        canvas: SlideCanvas,
        keeper: CaseKeeper,
        sync: CaseSync,
        storage: Storage,
        recent: RecentSlides,
        messages: Messages,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._canvas = canvas
        self._keeper = keeper
        self._sync = sync
        self._storage = storage
        self._recent = recent
        self._messages = messages
        self._opener = SlideOpener(partial(load_case, wait_for=storage.wait_for), LoadedCase.close, self)
        self._opener.opened.connect(self._opened)
        self._opener.failed.connect(self._failed)
        self._then: Callable[[], None] | None = None
        self._dialog: PixelSizeDialog | None = None
        self.extras: SlideExtras | None = None
        """What was read beside the slide that is shown."""
        self.import_outlines: Callable[[Path], None] | None = None
        """Adds an outline file to the slide that is open."""
        self.readers: Callable[[], Iterable[Releases]] = tuple
        """Who reads the slide besides the canvas; it is closed after they have let go of it."""

    def open(self, path: Path, then: Callable[[], None] | None = None) -> None:
        """Open a slide; the one before stays until the new one is there, and for good where it cannot be opened.

        Args:
            path: any file; what it is shows when it is opened.
            then: called when the slide is shown.
        """
        path = path.absolute()
        if self._points_elsewhere(path):
            return
        slide = self._session.slide
        if slide is not None and slide.path.absolute() == path:
            self._messages.show_message(f"{path.name} is open already.")
            return
        # What was drawn must be on disk before the case of the next slide is read.
        self._keeper.flush()
        self._then = then
        self.opening_changed.emit(path.name)
        self._opener.open(path)

    def _points_elsewhere(self, path: Path) -> bool:
        """Say which command is meant where the name already shows that this is no slide. Nothing is read."""
        case = next((p for p in (path, path.parent) if p.name.endswith(_CASE_FOLDER)), None)
        if path.suffix.lower() == ".geojson":
            words = (
                f"{path.name} is an outline file, not a slide: File, Import annotations adds it to the open slide."
            )
            ask = self.import_outlines
            buttons: list[tuple[str, Callable[[], None]]] = []
            if self._session.slide is not None and ask is not None:
                buttons.append(("Import it", partial(ask, path)))
            else:
                words += " Open its slide first."
            self._messages.show_message(words, "warning", buttons)
            return True
        if case is not None:
            slide = case.with_name(case.name.removesuffix(_CASE_FOLDER))
            self._messages.show_message(
                f"{case.name} is the folder of a case: open its slide, {slide.name}, and the case comes with it.",
                "warning",
                [("Open the slide", lambda: self.open(slide))],
            )
            return True
        return False

    def open_sample(self) -> None:
        """Copy the bundled sample into the user's data folder, open it, and outline its region once."""
        self.opening_changed.emit("the sample slide")
        self._storage.submit("Opening the sample slide", copy_sample, done=self._open_copy, failed=self._no_sample)

    def close(self) -> None:
        """Show nothing."""
        self._opener.cancel()
        self.opening_changed.emit("")
        if self._session.slide is not None:
            self._replace(None, None, None)

    def shutdown(self) -> bool:
        """Let go of the slide and wait for the threads; the window closes."""
        if self._dialog is not None:
            self._dialog.reject()
        self.close()
        return self._opener.shutdown()

    # -- what comes back ------------------------------------------------------------------------------------------

    def _open_copy(self, copied: tuple[Path, Path | None]) -> None:
        path, region = copied

        def outline() -> None:
            if region is not None and not len(self._session.annotations):
                self._add_region(region)

        self.open(path, outline)
        if self._opener.opening is None:
            self.opening_changed.emit("")

    def _add_region(self, region: Path) -> None:
        slide = self._session.slide

        def work() -> AnnotationSet:
            from her2viewer.cases.geojson import read_geojson

            return read_geojson(region)

        def done(annotations: AnnotationSet) -> None:
            if self._session.slide is slide and not len(self._session.annotations):
                self._session.edit("Region of the sample", annotations, ())

        self._storage.submit("Reading the region of the sample", work, done=done)

    def _no_sample(self, text: str) -> None:
        self.opening_changed.emit("")
        self._messages.show_message(text, "error")

    def _failed(self, text: str, path: Path) -> None:
        self.opening_changed.emit("")
        self._recent.check()
        stays = self._session.slide is not None
        name = self._session.slide.path.name if self._session.slide is not None else ""
        self._messages.show_message(f"{text} {name} stays open." if stays else text, "error")

    def _opened(self, slide: Slide, extras: SlideExtras) -> None:
        self.opening_changed.emit("")
        loaded = extras.prepared
        self._replace(slide, extras, loaded if isinstance(loaded, LoadedCase) else None)
        self._recent.add(slide.path)
        problems = [*extras.problems, *(loaded.problems if isinstance(loaded, LoadedCase) else ())]
        for problem in problems:
            self._messages.show_message(problem, "warning")
        then, self._then = self._then, None
        if then is not None:
            then()
        if self._session.pixel_size is None:
            self.ask_pixel_size()

    def _replace(self, slide: Slide | None, extras: SlideExtras | None, loaded: LoadedCase | None) -> None:
        """Another slide, or none, in the place of the one that is shown."""
        before = self._session.slide
        self._keeper.detach()
        if self._dialog is not None:
            self._dialog.reject()
        self._messages.clear()
        self.extras = extras
        pixel_size = extras.pixel_size if extras is not None else None
        kept = loaded.case.pixel_size if loaded is not None else None
        if kept is not None and (pixel_size is None or not pixel_size.plausible):
            # The case came from another computer, where the reader had been asked.
            pixel_size = kept
        if pixel_size is not None and not pixel_size.plausible and pixel_size.source is not PixelSizeSource.USER:
            # Questioned first: nothing is measured with it before the reader has said that it is right.
            pixel_size = None
        self._canvas.set_slide(slide, pixel_size)
        self._session.set_locked(False)
        annotations = loaded.annotations if loaded is not None else AnnotationSet()
        corrections = loaded.corrections if loaded is not None else NO_CORRECTIONS
        cells = loaded.cell_corrections if loaded is not None else NO_CELL_CORRECTIONS
        self._session.set_slide(slide, pixel_size, annotations, corrections, cells)
        if before is not None:
            self._opener.close_slide(before, self._canvas.loader, *self.readers())
        if loaded is not None:
            self._keeper.attach(loaded)
            self._sync.restore(loaded)
        self.shown.emit(extras)

    # -- pixel size -----------------------------------------------------------------------------------------------

    def ask_pixel_size(self) -> None:
        """Ask for the pixel size without blocking; "Not now" leaves it as it is."""
        slide = self._session.slide
        if slide is None or self._dialog is not None:
            return
        found = slide.pixel_size
        questioned = found if found is not None and not found.plausible else None
        dialog = PixelSizeDialog(
            slide.path.name,
            slide.width,
            slide.height,
            found=questioned,
            objective_power=slide.objective_power,
            present=self._session.pixel_size,
            parent=self._window,
        )
        self._dialog = dialog
        dialog.finished.connect(lambda _: self._answered(slide, dialog))
        dialog.open()

    def _answered(self, slide: Slide, dialog: PixelSizeDialog) -> None:
        self._dialog = None
        chosen = dialog.chosen
        dialog.deleteLater()
        # Keys go to the slide again.
        self._window.activateWindow()
        self._canvas.setFocus()
        if self._session.slide is not slide:
            return
        if chosen is None:
            if self._session.pixel_size is None:
                self._messages.show_message(
                    "Without a pixel size, areas are given in pixels and nothing can be scored.",
                    "warning",
                    [("Enter it", self.ask_pixel_size)],
                )
            return
        self.set_pixel_size(chosen)

    def set_pixel_size(self, chosen: PixelSize) -> None:
        """Use what the reader entered or confirmed, and keep it for this slide."""
        slide = self._session.slide
        if slide is None:
            return
        # A value that the reader let stand although it looks wrong is the reader's own from then on.
        stored = PixelSize(chosen.x_um, chosen.y_um, PixelSizeSource.USER, chosen.detail)
        identity = slide.identity

        def work() -> PixelSize:
            from her2viewer.slides.pixel_size import PixelSizeStore

            return PixelSizeStore().put(identity, stored)

        self._use(stored)
        self._storage.submit("Keeping the pixel size", work)

    def _use(self, size: PixelSize) -> None:
        self._session.set_pixel_size(size)
        self._canvas.set_pixel_size(size)
        self._keeper.update(pixel_size=size)
        self._keeper.log("pixel size entered", x_um=size.x_um, y_um=size.y_um)

    # -- images ---------------------------------------------------------------------------------------------------

    def images(self) -> dict[str, QImage]:
        """Label, macro and thumbnail of the slide that is shown."""
        from her2viewer.viewer.panels.slides_panel import image_of

        return {} if self.extras is None else {name: image_of(image) for name, image in self.extras.images.items()}
