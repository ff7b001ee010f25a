"""Pictures of the PDF: the slide with its region, and the fields without and with what the scorer saw."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Image, Spacer, Table

from her2viewer.domain.pixelsize import mm2_column
from her2viewer.reports.model import ReportData
from her2viewer.reports.pdf_bars import swatch
from her2viewer.reports.pdf_style import FLAT, INK, REGULAR, WIDTH, markup, para, printable, rgb, rich
from her2viewer.slides.slide import RGBImage

_JPEG_QUALITY = 88
OVERVIEW = 62 * mm
"""Height of the pictures of the slide on a page with fields."""
OVERVIEW_LEAST, OVERVIEW_MOST = 44 * mm, 100 * mm
FIELD_LEAST, FIELD_MOST = 46 * mm, 60 * mm
"""Side of a field: less is too small to judge, more leaves no room for its caption."""


def slide_pictures(data: ReportData, height: float) -> list[Any]:
    """The whole slide and the region side by side, ``height`` points high; nothing but the text for 0."""
    shown = [p for p in (data.overview, data.region) if p is not None]
    if not shown:
        return []
    half = WIDTH / 2 - 3
    outline = ["red: region"]
    outline += ["grey hatching: excluded"] if data.areas.excluded > 0 else []
    outline += ["blue: control tissue"] if data.areas.control > 0 else []
    outline += ["numbered squares: the fields below or overleaf"] if data.fields else []
    left = f"Left: the whole slide at {shown[0].um_per_px:.3g} µm/px ({', '.join(outline)})."
    if len(shown) > 1:
        close = f" with {_drawn(data)}" if data.legend else ""
        named = ", letters as in the table of regions" if len(data.regions) > 1 else ""
        left += f" Right: the region{close} at {shown[1].um_per_px:.3g} µm/px{named}."
    out: list[Any] = [para("Slide", "head")]
    if height > 0:
        table = Table([[_picture(p.image, half, height) for p in shown]], colWidths=[WIDTH / 2] * len(shown))
        table.setStyle(FLAT)
        table.hAlign = "LEFT"
        out.append(table)
    return [*out, para(left, "tiny")]


def _drawn(data: ReportData) -> str:
    corrected = data.change.any or data.cell_change.any
    return "what the scorer saw and the reader corrected" if corrected else "what the scorer saw"


def fields(data: ReportData, side: float) -> list[Any]:
    """Fields of ``side`` points, each without and with what the scorer saw; nothing but the texts for 0."""
    if not data.fields:
        return []
    out: list[Any] = []
    drawn = any(f.overlay is not None for f in data.fields)
    title = "Fields at working magnification"
    out.append(para(f"{title}: as scanned, and with {_drawn(data)}" if drawn else title, "head"))
    legend = _legend(data)
    if legend is not None and drawn:
        out += [legend, Spacer(1, 3)]
    for number, field in enumerate(data.fields if side > 0 else (), 1):
        text = [para(f"{number}  {field.title}", "bold"), para(field.caption, "small")]
        # The padding counts as part of the side, so that a page of fields is as high as was asked for.
        inner = side - 4
        row: list[Any] = [_picture(field.plain, inner, inner)]
        if field.overlay is not None:
            row.append(_picture(field.overlay, inner, inner))
        row.append(text)
        widths = [inner + 5, *([inner + 8] if field.overlay is not None else [4])]
        if field.overlay is None:
            row.insert(1, "")
        table = Table([row], colWidths=[*widths, WIDTH - sum(widths)])
        table.setStyle([*FLAT, ("BOTTOMPADDING", (0, 0), (-1, -1), 4)])
        out.append(table)
    return out


def _legend(data: ReportData) -> Any | None:
    if not data.legend:
        return None
    cells: list[Any] = []
    widths: list[float] = []
    areas = mm2_column(entry.amount for entry in data.legend)
    for entry, area in zip(data.legend, areas, strict=True):
        drawing = Drawing(14, 8)
        if entry.her2 >= 0:
            swatch(drawing, (0, 0, 13, 7.5), entry.her2, data.palette)
        else:
            drawing.add(Rect(0, 0, 13, 7.5, fillColor=rgb(entry.color), strokeColor=INK, strokeWidth=0.5))
        amount = f"{entry.amount:,.0f} cells" if entry.unit == "cells" else area
        cells += [drawing, rich(f"{markup(entry.name)}:  <font color='#5b6570'>{amount}</font>", "small")]
        widths += [17, stringWidth(f"{printable(entry.name)}:  {amount}", REGULAR, 7.6) + 2]
    # What is left lies between the entries; many entries share the width and wrap.
    free = WIDTH - sum(widths)
    if free < 0:
        widths = [17, WIDTH / len(data.legend) - 17] * len(data.legend)
    else:
        widths = [w + (free / len(data.legend) if n % 2 else 0) for n, w in enumerate(widths)]
    table = Table([cells], colWidths=widths)
    table.setStyle([*FLAT, ("VALIGN", (0, 0), (-1, -1), "MIDDLE")])
    return table


def _picture(image: RGBImage, width: float, height: float) -> Any:
    """The picture as JPEG, as large as fits into width x height points."""
    from PIL import Image as Pillow

    buffer = BytesIO()
    Pillow.fromarray(image).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    buffer.seek(0)
    rows, columns = image.shape[:2]
    scale = min(width / columns, height / rows)
    return Image(buffer, width=columns * scale, height=rows * scale, hAlign="LEFT")
