"""Plain images: PNG, JPEG, BMP and other files without a pyramid, held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.base import MEMORY_TILE, ReaderBase
from her2viewer.slides.identity import slide_identity
from her2viewer.slides.pixel_size import objective_power_from_properties, pixel_size_from_properties
from her2viewer.slides.pixels import WHITE, Samples, composed, to_rgb
from her2viewer.slides.slide import Level, RGBImage, Slide, SlideError

MAX_PIXELS = 2**30 // 3
"""Largest image that is decoded as a whole: 1 GiB in memory."""

FORMATS: Mapping[str, str] = {
    "PNG": "PNG image",
    "JPEG": "JPEG image",
    "MPO": "JPEG image",
    "BMP": "BMP image",
    "DIB": "BMP image",
    "JPEG2000": "JPEG 2000 image",
    "WEBP": "WebP image",
    "GIF": "GIF image",
}
"""What Pillow may try; its other formats start foreign programs or are no photographs."""


class ImageSlide(ReaderBase):
    """An image in memory; reduced levels are made when they are first asked for."""

    def __init__(
        self,
        path: Path,
        format_name: str,
        image: RGBImage,
        properties: Mapping[str, str],
        icc_profile: bytes | None,
        *,
        keep_implausible: bool = True,
    ) -> None:
        height, width = image.shape[:2]
        pixel_size: PixelSize | None = pixel_size_from_properties(properties)
        if pixel_size is not None and not keep_implausible and not pixel_size.plausible:
            pixel_size = None
        super().__init__(
            path,
            format_name,
            (Level(width, height, 1.0, MEMORY_TILE, MEMORY_TILE),),
            identity=slide_identity(path),
            properties=properties,
            pixel_size=pixel_size,
            objective_power=objective_power_from_properties(properties),
            icc_profile=icc_profile,
        )
        self._image: RGBImage | None = image

    def _pixels(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        image = self._image
        if image is None:
            raise SlideError(f"{self.path.name} has been closed.")
        return image[y : y + height, x : x + width].copy()

    def close(self) -> None:
        """Release the memory."""
        super().close()
        self._image = None


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse images that do not fit into memory.

    Raises:
        SlideError: more than ``MAX_PIXELS``.
    """
    if width * height > MAX_PIXELS:
        needed = width * height * 3 / 2**30
        raise SlideError(
            f"{path.name} is one undivided image of {width:,} x {height:,} px, which would take {needed:,.1f} GB of "
            "memory. Ask for it as a tiled, pyramidal TIFF or in the scanner's own format."
        )


def open_image(path: Path) -> Slide:
    """Open a plain image with Pillow: turned as EXIF says, colour tables resolved, alpha over white.

    Raises:
        PIL.UnidentifiedImageError: none of ``FORMATS``.
        SlideError: too large, or damaged.
    """
    # Named, for Pillow registers the less common formats only when asked for all of its dozens.
    from PIL import Image, ImageOps, Jpeg2KImagePlugin, MpoImagePlugin, WebPImagePlugin  # noqa: F401

    # Our own limit, with its own sentence, takes the place of Pillow's.
    Image.MAX_IMAGE_PIXELS = None
    # MPO, JPEG with further pictures behind the first, comes in through JPEG.
    with Image.open(path, formats=[f for f in FORMATS if f != "MPO"]) as image:
        check_size(path, *image.size)
        name = FORMATS.get(image.format or "", "Image")
        icc_profile = image.info.get("icc_profile")
        properties = _properties(image)
        try:
            rgb = _as_rgb(ImageOps.exif_transpose(image))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise SlideError(
                f"{path.name} is a {name} that is damaged or cut off. Copy or download it again."
            ) from error
    return ImageSlide(path, name, rgb, properties, icc_profile, keep_implausible=False)


def _as_rgb(image: Any) -> RGBImage:
    if image.mode.startswith("I"):
        # 16-bit grey; Pillow's own conversion would clip it at 255.
        return to_rgb(np.asarray(image)[..., None], Samples("grey", maximum=65535.0))
    if image.has_transparency_data:
        return composed(np.array(image.convert("RGBA")), WHITE)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.array(image)


def _properties(image: Any) -> dict[str, str]:
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return {}
    x, y = (float(v) for v in dpi)
    return {"tiff.XResolution": repr(x), "tiff.YResolution": repr(y), "tiff.ResolutionUnit": "inch"}
