"""Writing an image as a tiled pyramidal TIFF that OpenSlide opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.slides.slide import RGBImage

WRITER = "her2viewer"


def reduced(image: RGBImage, factors: Sequence[int]) -> list[RGBImage]:
    """The image and its reductions by ``factors`` (each against the full size), areas averaged.

    Sizes are rounded down, as scanners do, so that downsamples need not be integers.
    """
    import cv2

    height, width = image.shape[:2]
    levels = [image]
    for factor in factors:
        size = (max(1, width // factor), max(1, height // factor))
        levels.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    return levels


def write_pyramid(
    path: Path,
    levels: Sequence[NDArray[Any]],
    *,
    mpp: float | None = None,
    magnification: float | None = None,
    tile: int = 256,
    compression: str = "jpeg",
    quality: int = 80,
    subifds: bool = False,
    description: str | None = None,
    icc_profile: bytes | None = None,
) -> None:
    """Write a tiled TIFF with one page, or one SubIFD, for each level.

    Args:
        path: where to.
        levels: images from the finest on, (h, w, 3) uint8 or any shape and type that tifffile writes.
        mpp: um per px of the finest level, written as the resolution, and in the description.
        magnification: objective, written in the description. With it the description has Aperio's form, from
            which viewers read pixel size and objective.
        tile: side of the tiles, px; a multiple of 16.
        compression: as tifffile names it.
        quality: of JPEG, 0 to 100.
        subifds: reduced levels in SubIFDs of the first page, as OME-TIFF has them.
        description: in place of the one made here.
        icc_profile: colour profile to embed in the finest level.

    Pages are written without time stamps: the same pixels give the same bytes with the same version of the codec.
    """
    import tifffile

    height, width = levels[0].shape[:2]
    options: dict[str, Any] = {"tile": (tile, tile), "compression": compression, "software": WRITER, "metadata": None}
    if compression == "jpeg":
        # Colours at full resolution: a membrane is two or three pixels wide.
        options |= {"compressionargs": {"level": quality}, "subsampling": (1, 1)}
    if levels[0].ndim == 3:
        options["photometric"] = "rgb"
    if mpp is not None:
        options["resolutionunit"] = "CENTIMETER"
    with tifffile.TiffWriter(path) as writer:
        for index, level in enumerate(levels):
            extra: dict[str, Any] = {}
            if mpp is not None:
                per_cm = 1e4 / mpp * level.shape[1] / width
                extra["resolution"] = (per_cm, per_cm)
            text = description if index == 0 or not subifds else None
            if magnification is not None and description is None:
                text = _aperio_description(
                    (width, height),
                    level.shape[1::-1],
                    tile=tile,
                    quality=quality,
                    mpp=mpp,
                    magnification=magnification,
                )
            if index == 0:
                extra["iccprofile"] = icc_profile
                if subifds:
                    extra["subifds"] = len(levels) - 1
            elif subifds or magnification is None:
                extra["subfiletype"] = 1
            writer.write(np.ascontiguousarray(level), description=text, **extra, **options)


def _aperio_description(
    full: tuple[int, int],
    size: tuple[int, ...],
    *,
    tile: int,
    quality: int,
    mpp: float | None,
    magnification: float,
) -> str:
    width, height = full
    geometry = f"{width}x{height} ({tile}x{tile})"
    if tuple(size) != full:
        geometry += f" -> {size[0]}x{size[1]}"
    scale = f"|AppMag = {magnification:g}" + (f"|MPP = {mpp:.4f}" if mpp is not None else "")
    return f"Aperio Image Library ({WRITER})\n{geometry} JPEG/RGB Q={quality}{scale}"
