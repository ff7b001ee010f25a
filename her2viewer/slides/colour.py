"""Colours for display: from the scanner's ICC profile to sRGB. Scorers always see the raw pixels."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from her2viewer.slides.slide import RGBImage

NO_CACHE = 0x0040
"""cmsFLAGS_NOCACHE: the one-pixel cache of a transform is what makes it unsafe in several threads."""


def display_transform(icc_profile: bytes | None) -> Callable[[RGBImage], RGBImage] | None:
    """A function that turns pixels of a slide, (h, w, 3) uint8, into sRGB for the screen; safe in all threads.

    None where there is no profile or it cannot be used; ``profile_problem`` says why.
    """
    try:
        return _transform(icc_profile) if icc_profile else None
    except _errors():
        return None


def profile_problem(icc_profile: bytes | None) -> str | None:
    """Why the colours of a slide cannot be corrected, or None where they can."""
    if not icc_profile:
        return "The slide has no colour profile; its colours are shown as stored."
    try:
        _transform(icc_profile)
    except _errors() as error:
        return f"The slide's colour profile cannot be used ({error}); its colours are shown as stored."
    return None


def profile_name(icc_profile: bytes | None) -> str:
    """Description that the profile gives of itself; empty where there is none."""
    if not icc_profile:
        return ""
    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))).strip()
    except _errors():
        return ""


def _errors() -> tuple[type[Exception], ...]:
    from PIL import ImageCms

    return (OSError, ValueError, TypeError, ImageCms.PyCMSError)


def _transform(icc_profile: bytes) -> Callable[[RGBImage], RGBImage]:
    from PIL import Image, ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    if source.profile.xcolor_space.strip() != "RGB":
        raise ValueError(f"it describes {source.profile.xcolor_space.strip()} and not RGB")
    cms = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags(NO_CACHE),
    )

    def to_srgb(pixels: RGBImage) -> RGBImage:
        out = ImageCms.applyTransform(Image.fromarray(pixels), cms)
        return np.array(out)

    return to_srgb
