"""Levels of a DICOM slide, whose frames are decoded one by one without OpenSlide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.cache import ByteCache
from her2viewer.slides.dicom_file import UNCOMPRESSED, DicomFrames, DicomImage, read_image
from her2viewer.slides.jpeg import NO_COLOUR_TRANSFORM, START, JpegTiles
from her2viewer.slides.jpeg2000 import Jpeg2000Tiles
from her2viewer.slides.pixels import RGB, Samples, UnsupportedPixelsError
from her2viewer.slides.slide import RGBImage
from her2viewer.slides.tile_grid import TileGrid

JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
"""Baseline and extended; 12 bits of the latter are refused by the number of bits."""
JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
HIGH_THROUGHPUT = frozenset({"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"})
RUN_LENGTHS = "1.2.840.10008.1.2.5"
DECODED_TO_RGB = frozenset({"RGB", "YBR_ICT", "YBR_RCT"})
"""Colours of JPEG 2000 that its decoder turns into RGB itself."""


class DicomLevel(TileGrid):
    """One image of a DICOM series: one file, or the files that it was divided into."""

    def __init__(
        self, images: Sequence[DicomImage], background: RGB, cache: ByteCache[tuple[int, int], RGBImage]
    ) -> None:
        first = images[0]
        samples = _samples(first)
        if len(images) < first.parts:
            raise UnsupportedPixelsError(f"{len(images)} of the {first.parts} files of one image")
        reducing = Jpeg2000Tiles(*first.tile, samples, background) if first.syntax in JPEG_2000 else None
        super().__init__(
            first.size,
            first.tile,
            cache,
            samples=samples,
            jpeg=_jpeg(first),
            background=background,
            reducing=reducing,
        )
        self._syntax = first.syntax
        self._rgb_in_jpeg = first.photometric == "RGB"
        self._planar = first.planar
        self._parts: list[DicomFrames] = []
        count = self._across * self._down
        self._frame_of = np.full(count, -1, dtype=np.int64)
        self._part_of = np.zeros(count, dtype=np.uint16)
        try:
            for number, image in enumerate(images):
                if (image.tile, image.syntax, image.photometric) != (first.tile, first.syntax, first.photometric):
                    raise UnsupportedPixelsError("parts of one image that differ in kind")
                frames = DicomFrames(image)
                self._parts.append(frames)
                tiles = frames.tiles()
                if np.any(self._frame_of[tiles] >= 0) or len(np.unique(tiles)) != len(tiles):
                    raise UnsupportedPixelsError("several frames for one place")
                self._frame_of[tiles] = np.arange(len(tiles))
                self._part_of[tiles] = number
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.close()

    def present(self, index: int) -> bool:
        """As the grid says."""
        return bool(self._frame_of[index] >= 0)

    def encoded(self, index: int) -> bytes:
        """As the grid says."""
        return self._parts[int(self._part_of[index])].read(int(self._frame_of[index]))

    def _samples_of(self, index: int) -> NDArray[Any] | None:
        if not self.present(index):
            return None
        shape = (self.tile_height, self.tile_width, 3)
        samples = self._decode(self.encoded(index), shape)
        if samples.shape != shape or samples.dtype != np.uint8:
            raise ValueError(f"a frame of the shape {samples.shape}")
        return samples

    def _decode(self, data: bytes, shape: tuple[int, int, int]) -> NDArray[Any]:
        # Typed loosely: the codecs of imagecodecs are built only where their libraries are.
        import imagecodecs

        if self._syntax == UNCOMPRESSED:
            flat = np.frombuffer(data, dtype=np.uint8, count=shape[0] * shape[1] * 3)
            if self._planar:
                return np.ascontiguousarray(flat.reshape(3, *shape[:2]).transpose(1, 2, 0))
            return flat.reshape(shape).copy()
        if self._syntax in JPEG:
            # Else by the marks in the frame: headers that say luminance over frames of RGB exist.
            inside = "RGB" if self._rgb_in_jpeg else None
            return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=inside, outcolorspace="RGB"))
        if self._syntax in JPEG_2000:
            return np.asarray(imagecodecs.jpeg2k_decode(data))
        if self._syntax in HIGH_THROUGHPUT:
            return np.asarray(imagecodecs.htj2k_decode(data))
        if self._syntax in JPEG_LS:
            return np.asarray(imagecodecs.jpegls_decode(data))
        if self._syntax == RUN_LENGTHS:
            planes = np.frombuffer(imagecodecs.dicomrle_decode(data, np.uint8), dtype=np.uint8)
            return np.ascontiguousarray(planes.reshape(3, *shape[:2]).transpose(1, 2, 0))
        raise UnsupportedPixelsError(f"transfer syntax {self._syntax}")


def series_of(path: Path) -> list[list[DicomImage]]:
    """All images of the series that a file belongs to, from the files beside it; that of the file itself first.

    Each image is a list of files: one, or those that it was divided into, in the order of their frames. A copy of a
    file under another name counts once.

    Raises:
        UnsupportedPixelsError: the file is no whole slide image, or not of a kind that is read here.
    """
    own = read_image(path)
    if own is None:
        raise UnsupportedPixelsError("no whole slide image")
    found = {own.instance: own}
    for other in sorted(path.parent.iterdir()):
        if other == path or not other.is_file():
            continue
        try:
            image = read_image(other, own.series)
        except Exception:
            # Damaged, or of a kind that is not read here: the levels that can be read are not the worse for it.
            continue
        if image is not None:
            found.setdefault(image.instance, image)
    images: dict[str, list[DicomImage]] = {}
    for image in found.values():
        images.setdefault(image.concatenation or image.instance, []).append(image)
    return [sorted(parts, key=lambda part: part.first_frame) for parts in images.values()]


def _jpeg(image: DicomImage) -> JpegTiles | None:
    if image.syntax not in JPEG or image.photometric not in {"RGB", "YBR_FULL", "YBR_FULL_422"}:
        return None
    head = START + NO_COLOUR_TRANSFORM if image.photometric == "RGB" else START
    return JpegTiles(head, *image.tile)


def _samples(image: DicomImage) -> Samples:
    """How decoded samples are to be understood.

    Raises:
        UnsupportedPixelsError: in a way that is not known here.
    """
    if image.syntax not in {UNCOMPRESSED, RUN_LENGTHS} | JPEG | JPEG_LS | JPEG_2000 | HIGH_THROUGHPUT:
        raise UnsupportedPixelsError(f"transfer syntax {image.syntax}")
    if image.syntax in JPEG:
        known = image.photometric in {"RGB", "YBR_FULL", "YBR_FULL_422"}
    elif image.syntax in JPEG_2000 | HIGH_THROUGHPUT:
        known = image.photometric in DECODED_TO_RGB
    else:
        known = image.photometric == "RGB"
        if image.photometric == "YBR_FULL":
            return Samples("ycbcr")
    if not known:
        raise UnsupportedPixelsError(f"photometric interpretation {image.photometric} for {image.syntax}")
    return Samples("rgb")
