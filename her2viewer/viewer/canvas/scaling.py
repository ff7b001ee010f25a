"""Scales parts of pictures by OpenCV, which lets other threads run meanwhile; Qt's painter holds Python up."""

from __future__ import annotations

import numpy as np

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.grid import Box

MOST_ROUGH = 2.0
"""Pixels of more than twice the size would look like bricks: what is enlarged more is interpolated."""


def one_thread_each() -> None:
    """OpenCV does not divide a picture among threads of its own any more, in the whole process.

    The window has its threads; while something else keeps the processor busy, a picture would wait for the slowest of
    OpenCV's: 15 ms and more for what takes 2.
    """
    import cv2

    cv2.setNumThreads(1)


def draw(
    pixels: BGRAImage,
    target: Box,
    ratio: tuple[float, float],
    offset: tuple[float, float],
    out: BGRAImage,
    *,
    smooth: bool,
) -> None:
    """Scale a part of ``pixels`` into ``target``.

    Args:
        pixels: (height, width, 4).
        target: px of ``out``.
        ratio: source px per px of ``out``, across and down.
        offset: where the middle of the first px lies, 0 being the middle of the first px of the source.
        out: (height, width, 4).
        smooth: interpolate between pixels; takes five times as long.
    """
    import cv2

    part = out[target.y0 : target.y1, target.x0 : target.x1]
    size = (target.width, target.height)
    if smooth:
        matrix = np.array([[ratio[0], 0.0, offset[0]], [0.0, ratio[1], offset[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(pixels, matrix, size, part, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return
    x0, x1 = _whole(offset[0], ratio[0], target.width, pixels.shape[1])
    y0, y1 = _whole(offset[1], ratio[1], target.height, pixels.shape[0])
    source = pixels[y0:y1, x0:x1]
    if source.shape == part.shape:
        part[...] = source
    else:
        # Twice as quick as INTER_NEAREST.
        cv2.resize(source, size, part, interpolation=cv2.INTER_NEAREST_EXACT)


def _whole(middle: float, ratio: float, size: int, most: int) -> tuple[int, int]:
    """The source px under ``size`` px of a picture, to whole ones: half a px off is not seen in motion."""
    edge = middle + 0.5 - ratio / 2
    begin = min(max(0, round(edge)), most - 1)
    return begin, max(begin + 1, min(most, round(edge + size * ratio)))
