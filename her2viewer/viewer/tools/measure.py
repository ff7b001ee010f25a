"""Areas and lengths in words, for read-outs and lists."""

from __future__ import annotations

from her2viewer.domain.pixelsize import PixelSize, mm2_number


def area_unit(pixel_size: PixelSize | None) -> str:
    """Unit of ``area_number``."""
    return "px²" if pixel_size is None else "mm²"


def area_number(area_px: float, pixel_size: PixelSize | None) -> str:
    """Area in mm2, or in px2 while the pixel size is unknown, without the unit. ``area_px`` in level-0 px2."""
    if pixel_size is None:
        return f"{area_px:,.0f}"
    return mm2_number(pixel_size.mm2(area_px))


def area_text(area_px: float, pixel_size: PixelSize | None) -> str:
    """Area with its unit. ``area_px`` in level-0 px2."""
    return f"{area_number(area_px, pixel_size)} {area_unit(pixel_size)}"


def size_text(width_px: float, height_px: float, pixel_size: PixelSize | None) -> str:
    """Width x height in mm or um, or in px while the pixel size is unknown. Arguments in level-0 px."""
    if pixel_size is None:
        return f"{width_px:,.0f} × {height_px:,.0f} px"
    width, height = width_px * pixel_size.x_um, height_px * pixel_size.y_um
    if max(width, height) >= 1000:
        return f"{width / 1000:.2f} × {height / 1000:.2f} mm"
    return f"{width:.0f} × {height:.0f} µm"
