"""The report as a PDF of one to three A4 pages with embedded fonts, written whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepTogether, PageBreak, SimpleDocTemplate, Spacer
from reportlab.platypus.doctemplate import LayoutError

from her2viewer.cases.atomic import StorageError, atomic_file
from her2viewer.reports import pdf_parts as parts
from her2viewer.reports import pdf_pictures as pictures
from her2viewer.reports.model import ReportData, ReportError
from her2viewer.reports.pdf_style import MUTED, REGULAR, RULE, WIDTH, printable, register_fonts

_MARGIN = 16 * mm
_FRAME_PADDING = 6
"""reportlab pads its frames by this much; text and tables shall begin at the margin."""
_SLACK = 3 * mm
"""Room that stays free at the end of a page, so that a rounded height never breaks it."""


def write_pdf(data: ReportData, path: Path) -> None:
    """Write the report; an existing file is replaced only by a complete one.

    Raises:
        ReportError: it cannot be laid out or written; the sentence says why and what to do.
    """
    content = pdf_bytes(data)
    try:
        with atomic_file(path) as file:
            file.write(content)
    except StorageError as error:
        raise ReportError(str(error)) from error


def pdf_bytes(data: ReportData) -> bytes:
    """The report as the bytes of a PDF.

    Raises:
        ReportError: it cannot be laid out, or this installation lacks its fonts.
    """
    try:
        register_fonts()
        # Laid out twice: the first time tells how many pages there are.
        pages = _build(data, 0)[1]
        return _build(data, pages)[0]
    except FileNotFoundError as error:
        raise ReportError(str(error)) from error
    except LayoutError as error:
        raise ReportError(
            "The report does not fit on its pages; shorten the case fields or the comment, or export JSON instead."
        ) from error


def _build(data: ReportData, pages: int) -> tuple[bytes, int]:
    buffer = BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=_MARGIN - _FRAME_PADDING,
        rightMargin=_MARGIN - _FRAME_PADDING,
        topMargin=13 * mm,
        bottomMargin=15 * mm,
        title=_whole(f"HER2 report {_case_name(data)[:150]}".strip()),
        author=_whole(data.own.name or "her2viewer"),
        subject=_whole(f"{data.slide_name}: {data.decision.headline if data.decision else 'not scored'}"),
        creator=f"her2viewer {data.versions.get('her2viewer', '')}".strip(),
        initialFontName=REGULAR,
    )
    count = 0

    def footer(canvas: Any, _document: Any) -> None:
        nonlocal count
        count = canvas.getPageNumber()
        canvas.saveState()
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.4)
        y = 11 * mm
        canvas.line(_MARGIN, y, A4[0] - _MARGIN, y)
        canvas.setFont(REGULAR, 6.8)
        canvas.setFillColor(MUTED)
        text = printable(" · ".join(t[:150] for t in (_case_name(data), data.slide_name) if t))
        room = 0.68 * (A4[0] - 2 * _MARGIN)
        while stringWidth(text, REGULAR, 6.8) > room:
            text = text[:-2].rstrip("…") + "…"
        canvas.drawString(_MARGIN, y - 9, text)
        total = f" of {pages}" if pages else ""
        canvas.drawRightString(A4[0] - _MARGIN, y - 9, f"{data.created[:16].replace('T', ' ')} · page {count}{total}")
        canvas.restoreState()

    document.build(_story(data, document.height - 2 * _FRAME_PADDING), onFirstPage=footer, onLaterPages=footer)
    return buffer.getvalue(), count


def _story(data: ReportData, page: float) -> list[Any]:
    """All parts in order, with pictures as large as the pages of ``page`` points have room for.

    The pictures of the slide stand on the first page where they have room, the fields and the provenance share the
    second one where they fit.
    """
    top: list[Any] = [
        *parts.header(data),
        Spacer(1, 7),
        *parts.answer(data),
        *parts.why(data.decision),
        *parts.others(data.others),
        *parts.regions(data.regions),
    ]
    own = parts.own_part(data)
    words, provenance = parts.long_comment(data), parts.provenance(data)
    overview = min(pictures.OVERVIEW_MOST, page - _height([*top, *pictures.slide_pictures(data, 0), *own]) - _SLACK)
    if overview >= pictures.OVERVIEW_LEAST:
        story = [*top, KeepTogether(pictures.slide_pictures(data, overview)), KeepTogether(own)]
        second: list[Any] = []
    else:
        story = [*top, KeepTogether(own)]
        second = pictures.slide_pictures(data, pictures.OVERVIEW)
    count = max(1, len(data.fields))
    side = (page - _height([*second, *pictures.fields(data, 0), *words, *provenance]) - _SLACK) / count
    if side < pictures.FIELD_LEAST:
        # The provenance gets a page of its own.
        side = (page - _height([*second, *pictures.fields(data, 0)]) - _SLACK) / count
    second += pictures.fields(data, max(pictures.FIELD_LEAST, min(pictures.FIELD_MOST, side)))
    last = [*words, KeepTogether(provenance)]
    return [*story, PageBreak(), *second, *last] if second else [*story, *last]


def _height(flowables: list[Any]) -> float:
    """Points that the flowables take on a page of their own, spaces between them included."""
    canvas = Canvas(BytesIO())
    total = after = 0.0
    for number, flowable in enumerate(flowables):
        total += flowable.wrapOn(canvas, WIDTH, 1e6)[1]
        # As reportlab does it: of two spaces that meet, the larger one counts.
        total += max(flowable.getSpaceBefore() - after, 0) if number else 0
        after = flowable.getSpaceAfter()
        total += after
    return total


def _case_name(data: ReportData) -> str:
    """The first field is the case number; a laboratory or a reader in its place would mislead."""
    return next(iter(data.case.values()), "")


def _whole(text: str) -> str:
    """Without half characters, which stand for the bytes of a file name that is no text."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
