"""All formats that OpenSlide reads; plain tiles are decoded directly where that gives the same pixels."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide

from her2viewer.slides.base import TILE, ReaderBase, decode_failure, downsample_of
from her2viewer.slides.direct import DirectTiles
from her2viewer.slides.identity import slide_identity
from her2viewer.slides.pixel_size import objective_power_from_properties, pixel_size_from_properties
from her2viewer.slides.pixels import RGB, WHITE, composed
from her2viewer.slides.slide import BGRAImage, Level, RGBImage, SlideError

CACHE_BYTES = 64 * 2**20

VENDORS: Mapping[str, str] = {
    "aperio": "Aperio SVS",
    "argos": "Argos AVS",
    "dicom": "DICOM slide",
    "generic-tiff": "Tiled TIFF",
    "hamamatsu": "Hamamatsu",
    "leica": "Leica SCN",
    "mirax": "MIRAX (3DHISTECH)",
    "philips": "Philips TIFF",
    "sakura": "Sakura",
    "trestle": "Trestle",
    "ventana": "Ventana (Roche)",
    "zeiss": "Zeiss CZI",
}


@dataclass(frozen=True)
class Bounds:
    """The scanned part of a slide, in the file's own level-0 px."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, properties: Mapping[str, str], width: int, height: int) -> Bounds:
        """From OpenSlide's bounds properties; the whole slide where they are absent or make no sense."""
        names = ("openslide.bounds-x", "openslide.bounds-y", "openslide.bounds-width", "openslide.bounds-height")
        try:
            x, y, w, h = (int(properties[name]) for name in names)
        except (KeyError, ValueError):
            return cls(0, 0, width, height)
        x, y = max(x, 0), max(y, 0)
        w, h = min(w, width - x), min(h, height - y)
        return cls(x, y, w, h) if w > 0 and h > 0 else cls(0, 0, width, height)

    def level_size(self, downsample: float) -> tuple[int, int]:
        """Size of the bounds in px of a level: every pixel that they touch, at least one."""
        return (
            max(1, int(np.ceil(self.width / downsample - 1e-6))),
            max(1, int(np.ceil(self.height / downsample - 1e-6))),
        )

    def location(self, x: int, y: int, downsample: float) -> tuple[int, int]:
        """File's level-0 position, as ``read_region`` wants it, of a level's pixel counted from the bounds' corner.

        Rounding to whole level-0 px moves the pixel by at most half a level-0 px.
        """
        return (self.x + round(x * downsample), self.y + round(y * downsample))


class OpenSlideSlide(ReaderBase):
    """A slide read by OpenSlide, whose calls are safe from all threads on one handle.

    After one error OpenSlide refuses every further call on a handle, so each failure gets a new handle and one
    more try. A handle that another thread still uses is freed when that thread lets go of it.
    """

    def __init__(self, path: Path, handle: openslide.OpenSlide, *, direct: bool = True) -> None:
        properties = dict(handle.properties)
        vendor = properties.get("openslide.vendor", "")
        full_width, full_height = handle.dimensions
        bounds = Bounds.of(properties, full_width, full_height)
        whole = bounds == Bounds(0, 0, full_width, full_height)
        levels = []
        for index, (width, height) in enumerate(handle.level_dimensions):
            downsample = downsample_of(full_width, full_height, width, height)
            if not whole:
                width, height = bounds.level_size(downsample)
            tile = [
                _positive(properties.get(f"openslide.level[{index}].tile-{side}")) for side in ("width", "height")
            ]
            levels.append(Level(width, height, downsample, *tile))
        super().__init__(
            path,
            VENDORS.get(vendor, vendor or "OpenSlide format"),
            tuple(levels),
            identity=slide_identity(path),
            properties=properties,
            pixel_size=pixel_size_from_properties(properties, full_width),
            objective_power=objective_power_from_properties(properties),
            background=_color(properties.get("openslide.background-color", "")),
            bounds_offset=(bounds.x, bounds.y),
            icc_profile=_icc_profile(handle),
        )
        self._bounds = bounds
        self._downsamples = handle.level_downsamples
        self._handle: openslide.OpenSlide | None = handle
        self._cache = openslide.OpenSlideCache(CACHE_BYTES)
        self._lock = threading.Lock()
        handle.set_cache(self._cache)
        self._direct = DirectTiles.of(path, self, handle) if direct and whole else None

    @property
    def direct_levels(self) -> tuple[int, ...]:
        """Levels whose tiles are decoded without OpenSlide."""
        return self._direct.levels if self._direct is not None else ()

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        if self._direct is not None:
            pixels = self._direct.read(level, x, y, width, height)
            if pixels is not None:
                return pixels
        return self.through_openslide(level, x, y, width, height)

    def _bgra(self, level: int, x: int, y: int, width: int, height: int, *, reduce: int) -> BGRAImage | None:
        return None if self._direct is None else self._direct.read_bgra(level, x, y, width, height, reduce=reduce)

    def through_openslide(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        """As ``read``, for an area inside the level, by OpenSlide itself.

        Raises:
            TileError, SlideError: as ``read``.
        """
        location = self._bounds.location(x, y, self._downsamples[level])
        handle = self._current()
        try:
            region = handle.read_region(location, level, (width, height))
        except openslide.OpenSlideError as first:
            handle = self._reopened(handle, first)
            try:
                region = handle.read_region(location, level, (width, height))
            except openslide.OpenSlideError as error:
                # The next request must not meet the dead handle.
                self._reopened(handle, error)
                raise decode_failure(self.path, level, x, y) from error
        return composed(np.asarray(region), self.background)

    def associated_images(self) -> Mapping[str, RGBImage]:
        """Label, macro and thumbnail where the file has them; damaged ones are left out."""
        found = {}
        for name in list(self._current().associated_images):
            handle = self._current()
            try:
                found[name] = composed(np.asarray(handle.associated_images[name]), self.background)
            except openslide.OpenSlideError as error:
                self._reopened(handle, error)
        return found

    def close(self) -> None:
        """Release the file."""
        super().close()
        with self._lock:
            self._handle = None
        if self._direct is not None:
            self._direct.close()

    def _current(self) -> openslide.OpenSlide:
        with self._lock:
            if self._handle is None:
                raise SlideError(f"{self.path.name} has been closed.")
            return self._handle

    def _reopened(self, dead: openslide.OpenSlide, reason: Exception) -> openslide.OpenSlide:
        """A new handle in place of a dead one, unless another thread has replaced it already."""
        with self._lock:
            if self._handle is None:
                raise SlideError(f"{self.path.name} has been closed.") from reason
            if self._handle is dead:
                try:
                    fresh = openslide.OpenSlide(self.path)
                except (openslide.OpenSlideError, OSError) as error:
                    raise SlideError(
                        f"{self.path.name} can no longer be read ({error}). Check that the file and its drive are "
                        "still there, then open it again."
                    ) from error
                # They hold a hash of the coarsest level: tiles of two slides must never meet in one view.
                if any(self.properties.get(name) != value for name, value in fresh.properties.items()):
                    fresh.close()
                    raise SlideError(
                        f"{self.path.name} has been replaced by another file while it was open. Open it again."
                    ) from reason
                fresh.set_cache(self._cache)
                self._handle = fresh
            return self._handle


def _positive(text: str | None) -> int:
    try:
        value = int(text or 0)
    except ValueError:
        return TILE
    return value if 0 < value <= 4096 else TILE


def _color(text: str) -> RGB:
    try:
        value = int(text, 16)
    except ValueError:
        return WHITE
    return (value >> 16 & 255, value >> 8 & 255, value & 255) if len(text) == 6 else WHITE


def _icc_profile(handle: openslide.OpenSlide) -> bytes | None:
    try:
        profile = handle.color_profile
        return None if profile is None else bytes(profile.tobytes())
    except Exception:
        # A damaged profile: Pillow refuses it; the slide itself is fine.
        return None
