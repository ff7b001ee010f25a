"""Opens and closes slides in threads of their own: nothing here touches the disk on the main thread."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import RGBImage, Slide, SlideError
from her2viewer.viewer.storage import sentence_of

log = logging.getLogger(__name__)

OVERVIEW_SIDE = 1024
"""Longer side of the overview image, px, at most."""
RELEASE_S = 60.0
"""A worker that reads a slow disk is waited for this long before the slide is closed all the same."""


@dataclass(frozen=True)
class SlideExtras:
    """What was read beside the slide itself, so that the main thread need not."""

    path: Path
    pixel_size: PixelSize | None
    """What the reader entered before, else what the file says; None where nobody knows yet."""
    images: Mapping[str, RGBImage]
    """Label, macro and thumbnail by name, (h, w, 3) uint8 RGB."""
    overview: RGBImage | None
    """The whole slide, longer side at most ``OVERVIEW_SIDE`` px; None where it cannot be read or would take long."""
    display_transform: Callable[[RGBImage], RGBImage] | None
    """From the slide's ICC profile to the screen, for ``SlideCanvas.set_display_transform``."""
    profile_problem: str | None
    """Why the colours cannot be corrected, as a sentence."""
    prepared: Any = None
    """What the caller's own function returned, for example the loaded case."""
    problems: tuple[str, ...] = ()
    """Sentences: what could not be read although the slide can be shown."""


class Releases(Protocol):
    """Who reads a slide in threads; ``TileLoader`` does."""

    def wait_released(self, slide: Slide, timeout: float | None = None) -> bool:
        """Block until the slide is no longer read."""


class SlideOpener(QObject):
    """Opens one slide at a time; a later request replaces an earlier one that is not yet through."""

    opened = Signal(object, object)
    """Slide, SlideExtras. The receiver owns the slide and gives it back with ``close_slide``."""
    failed = Signal(str, object)
    """A sentence for the reader, Path."""
    _finished = Signal()

    def __init__(
        self,
        prepare: Callable[[Slide], Any] | None = None,
        discard: Callable[[Any], None] | None = None,
        parent: QObject | None = None,
    ) -> None:
        """Both functions run in a thread.

        Args:
            prepare: called with the open slide, for example to load its case; its result is ``extras.prepared``.
            discard: called with what was prepared for a slide that nobody waits for any more.
            parent: Qt's owner.
        """
        super().__init__(parent)
        self._prepare = prepare
        self._discard_prepared = discard
        self._lock = threading.Lock()
        self._ticket = 0
        self._results: deque[tuple[int, Path, tuple[Slide, SlideExtras] | str]] = deque()
        self._threads: set[threading.Thread] = set()
        self._stopping = False
        self.opening: Path | None = None
        """What is being opened now."""
        # Queued: the slot runs in the main thread, where this object lives.
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def open(self, path: Path) -> None:
        """Begin to open; ``opened`` or ``failed`` follows, unless another request comes in between."""
        with self._lock:
            self._ticket += 1
            ticket = self._ticket
        self.opening = path
        self._run(lambda: self._open(ticket, path), "slide opener")

    def cancel(self) -> None:
        """Forget the request under way; its slide is closed when it comes."""
        with self._lock:
            self._ticket += 1
        self.opening = None

    def close_slide(self, slide: Slide, *users: Releases) -> None:
        """Close a slide in a thread, after ``users`` (tile loaders) have let go of it."""

        def close() -> None:
            for user in users:
                user.wait_released(slide, RELEASE_S)
            _close(slide)

        self._run(close, "slide closer")

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Wait for the threads; what they still open is closed. False where one did not end in time."""
        with self._lock:
            self._stopping = True
            self._ticket += 1
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout)
        self._deliver()
        return not any(thread.is_alive() for thread in threads)

    def _run(self, work: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        # A daemon: a network drive that does not answer must not keep the program alive.
        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    # -- opening thread -------------------------------------------------------------------------------------------

    def _open(self, ticket: int, path: Path) -> None:
        result: tuple[Slide, SlideExtras] | str
        try:
            result = open_with_extras(path, self._prepare)
        except SlideError as error:
            result = str(error)
        except MemoryError:
            result = (
                f"{path.name} could not be opened: there is not enough memory. Close other programs and try again."
            )
        except Exception as error:
            log.exception("%s could not be opened", path)
            result = f"{path.name} could not be opened ({error}). Check that the file is complete and can be read."
        with self._lock:
            wanted = ticket == self._ticket and not self._stopping
            if wanted:
                self._results.append((ticket, path, result))
        if wanted:
            self._finished.emit()
        elif not isinstance(result, str):
            self._discard(*result)

    def _discard(self, slide: Slide, extras: SlideExtras) -> None:
        if self._discard_prepared is not None and extras.prepared is not None:
            try:
                self._discard_prepared(extras.prepared)
            except Exception:
                log.exception("what was prepared for %s could not be let go", extras.path)
        _close(slide)

    # -- main thread ----------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        while self._results:
            ticket, path, result = self._results.popleft()
            if ticket != self._ticket:
                # Another slide was asked for between the thread's last look and now.
                if not isinstance(result, str):
                    self._run(partial(self._discard, *result), "slide closer")
                continue
            self.opening = None
            if isinstance(result, str):
                self.failed.emit(result, path)
            else:
                self.opened.emit(*result)


def open_with_extras(path: Path, prepare: Callable[[Slide], Any] | None = None) -> tuple[Slide, SlideExtras]:
    """Open a slide and read what the window shows at once. Blocks; for worker threads.

    Raises:
        SlideError: the slide cannot be opened. Trouble with anything beside it becomes one of ``extras.problems``.
    """
    # The tile workers need it within the next milliseconds.
    import cv2  # noqa: F401

    from her2viewer.slides.colour import display_transform, profile_problem
    from her2viewer.slides.open import open_slide
    from her2viewer.slides.pixel_size import PixelSizeStore, resolve_pixel_size

    slide = open_slide(path)
    problems: list[str] = []

    def attempt(read: Callable[[], Any], what: str) -> Any:
        try:
            return read()
        except Exception as error:
            log.exception("%s: %s", path, what)
            problems.append(sentence_of(what, error))
            return None

    try:
        pixel_size = attempt(lambda: resolve_pixel_size(slide, PixelSizeStore()), "Reading the stored pixel sizes")
        images = attempt(slide.associated_images, "Reading the label and macro images") or {}
        overview = attempt(lambda: overview_image(slide), "Making the overview")
        colours = "Reading the colour profile"
        prepared = None if prepare is None else attempt(lambda: prepare(slide), "Loading the case")
        extras = SlideExtras(
            path=path,
            pixel_size=pixel_size,
            images=images,
            overview=overview,
            display_transform=attempt(lambda: display_transform(slide.icc_profile), colours),
            profile_problem=attempt(lambda: profile_problem(slide.icc_profile), colours),
            prepared=prepared,
            problems=tuple(problems),
        )
    except BaseException:
        slide.close()
        raise
    return slide, extras


def overview_image(slide: Slide) -> RGBImage | None:
    """The whole slide, (h, w, 3) uint8 RGB; None where that means reading more than 64 million px."""
    import cv2

    level = slide.levels[-1]
    if level.width * level.height > 64_000_000:
        return None
    whole = slide.read(len(slide.levels) - 1, 0, 0, level.width, level.height)
    factor = OVERVIEW_SIDE / max(level.width, level.height)
    if factor < 1:
        size = (max(1, round(level.width * factor)), max(1, round(level.height * factor)))
        whole = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return whole


def _close(slide: Slide) -> None:
    try:
        slide.close()
    except Exception:
        log.exception("%s could not be closed", slide.path)
