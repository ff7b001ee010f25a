"""From the samples of a file to uint8 RGB."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

RGBImage = NDArray[np.uint8]
"""(h, w, 3) uint8 RGB."""
BGRAImage = NDArray[np.uint8]
"""(h, w, 4) uint8, alpha 255: what Qt calls RGB32 on little-endian machines."""

RGB = tuple[int, int, int]
WHITE: RGB = (255, 255, 255)


class Alpha(Enum):
    """What the fourth sample means."""

    NONE = "none"
    STRAIGHT = "straight"
    PREMULTIPLIED = "premultiplied"


class UnsupportedPixelsError(Exception):
    """Samples of a kind that cannot be shown as colour; ``str()`` says which."""


class NoBrightfieldError(UnsupportedPixelsError):
    """Channels of a fluorescence image: no reader should make a colour image of them."""


@dataclass(frozen=True)
class Samples:
    """How the samples of a file are to be understood."""

    kind: str
    """``rgb``, ``ycbcr`` (full range, as JPEG has it), ``grey``, ``grey-inverted``, ``palette`` or ``cmyk``."""
    alpha: Alpha = Alpha.NONE
    maximum: float = 255.0
    """Value of full brightness: 255, 4095 for 12 bits in 16, 1.0 for floats."""
    palette: NDArray[np.uint8] | None = None
    """(n, 3) RGB, for ``palette``."""


def filled(width: int, height: int, color: RGB) -> RGBImage:
    """An image of one colour, (height, width, 3) uint8."""
    out = np.empty((height, width, 3), dtype=np.uint8)
    out[:] = color
    return out


def as_bgra(rgb: RGBImage) -> BGRAImage:
    """The same in Qt's order of channels, alpha 255."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA), dtype=np.uint8)


def averaged(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Mean of blocks of ``factor`` x ``factor`` px; the last row and column are repeated where they do not divide."""
    import cv2

    if factor == 1:
        return image
    height, width = image.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    if (rows * factor, columns * factor) != (height, width):
        below, right = rows * factor - height, columns * factor - width
        image = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8)
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def composed(rgba: NDArray[np.uint8], background: RGB, *, premultiplied: bool = False) -> RGBImage:
    """RGBA (h, w, 4) uint8 over a plain background, (h, w, 3) uint8; exact to rounding."""
    import cv2

    rgb = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    alpha = rgba[..., 3]
    lowest = int(alpha.min()) if alpha.size else 255
    if lowest == 255:
        return rgb
    # Mostly all or nothing: only the pixels that need it are computed.
    where = alpha < 255
    a = alpha[where].astype(np.float32)[:, None] / 255
    over = rgb[where].astype(np.float32)
    if not premultiplied:
        over *= a
    over += (1 - a) * np.asarray(background, dtype=np.float32)
    rgb[where] = np.clip(over + 0.5, 0, 255).astype(np.uint8)
    return rgb


def to_rgb(data: NDArray[Any], samples: Samples, background: RGB = WHITE) -> RGBImage:
    """Samples (h, w, s) of any number type as uint8 RGB (h, w, 3).

    Raises:
        UnsupportedPixelsError: that many samples, or that kind, cannot be shown as colour.
    """
    if samples.kind == "palette":
        if samples.palette is None:
            raise UnsupportedPixelsError("indexed colours without a colour table")
        index = np.minimum(data[..., 0], len(samples.palette) - 1)
        return np.ascontiguousarray(samples.palette[index])
    data = _to_uint8(data, samples.maximum)
    count = data.shape[2]
    if samples.kind in {"grey", "grey-inverted"}:
        grey = data[..., 0] if samples.kind == "grey" else 255 - data[..., 0]
        rgb: RGBImage = np.repeat(grey[..., None], 3, axis=2)
        if count > 1 and samples.alpha is not Alpha.NONE:
            rgba = np.concatenate([rgb, data[..., 1:2]], axis=2)
            return composed(rgba, background, premultiplied=samples.alpha is Alpha.PREMULTIPLIED)
        return rgb
    if samples.kind == "ycbcr" and count == 3:
        import cv2

        ordered = np.empty_like(data)
        cv2.mixChannels([data], [ordered], [0, 0, 1, 2, 2, 1])
        return np.asarray(cv2.cvtColor(ordered, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
    if samples.kind == "cmyk" and count >= 4:
        ink = np.minimum(data[..., :3].astype(np.uint16) + data[..., 3:4], 255)
        return np.asarray(255 - ink).astype(np.uint8)
    if samples.kind == "rgb" and count >= 3:
        if count > 3 and samples.alpha is not Alpha.NONE:
            rgba = np.ascontiguousarray(data[..., :4])
            return composed(rgba, background, premultiplied=samples.alpha is Alpha.PREMULTIPLIED)
        return np.ascontiguousarray(data[..., :3])
    raise UnsupportedPixelsError(f"{count} channels of the kind {samples.kind}")


def _to_uint8(data: NDArray[Any], maximum: float) -> NDArray[np.uint8]:
    if data.dtype == np.uint8 and maximum == 255:
        return np.asarray(data, dtype=np.uint8)
    if data.dtype == np.bool_:
        return np.where(data, np.uint8(255), np.uint8(0))
    scaled = np.nan_to_num(data.astype(np.float32)) * (255.0 / maximum)
    return np.asarray(np.clip(scaled + 0.5, 0, 255)).astype(np.uint8)
