"""Parts of the PDF: each function gives the flowables of one block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Spacer, Table

from her2viewer import RESEARCH_USE
from her2viewer.domain.cell_corrections import CellChange, count_text
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.corrections import MaskChange
from her2viewer.domain.pixelsize import PixelSize, mm2_number
from her2viewer.domain.reviewed import share_text
from her2viewer.domain.shares import CONCORDANT_ENTROPY, DISCORDANT_ENTROPY, CountedUnit, percent_text
from her2viewer.guidelines.decision import Decision, RowTest
from her2viewer.reports.model import OwnAnswer, RegionShares, ReportData, Reviewed
from her2viewer.reports.pdf_bars import share_bars
from her2viewer.reports.pdf_style import BOXED, FLAT, INK, LINED, TINT, WIDTH, markup, para, rich
from her2viewer.reports.pictures import REGION_LETTERS

_MOST_REGIONS = 12
_LONGEST_JSON = 1500
_LONG_COMMENT = 420
"""Characters; a longer comment of the pathologist gets a place of its own, which may run over pages."""
_LONGEST_FIELD = 300
_MOST_ITEMS = 9
"""Of one list; a table row cannot be split over pages."""
_ROOM = "." * 38
_TICK = "&nbsp; ".join(f"\N{BALLOT BOX}&nbsp;{label}" for label in HER2_LABELS)
_SIGN = {">=": "≥", "<=": "≤"}


def header(data: ReportData) -> list[Any]:
    """Title, research-use statement, case and slide."""
    title = Table(
        [[para("HER2 immunohistochemistry: report", "title"), para(_made(data), "right")]],
        colWidths=[WIDTH * 0.62, WIDTH * 0.38],
    )
    title.setStyle([("VALIGN", (0, 0), (-1, -1), "BOTTOM"), *FLAT, ("LINEBELOW", (0, 0), (-1, -1), 1.2, INK)])
    size = data.pixel_size
    # What nobody filled in has room to be written by hand: a filed form has its case number.
    case = {k: _short(v, _LONGEST_FIELD) or _ROOM for k, v in data.case.items()}
    slide = {
        "Slide": data.slide_name,
        "Pixel size": pixel_size_text(size, detail=False),
        "Region": f"{mm2_number(data.areas.roi)} mm², {_excluded(data)}",
        **({} if data.reviewed is None else {"Looked at": _looked_at(data.reviewed)}),
        "Control tissue": f"{mm2_number(data.areas.control)} mm² outlined" if data.areas.control else "none outlined",
    }
    table = _pairs(slide, 2)
    if case:
        table = Table([[_pairs(case, 1, WIDTH / 2), _pairs(slide, 1, WIDTH / 2)]], colWidths=[WIDTH / 2] * 2)
        table.setStyle(FLAT)
    return [title, Spacer(1, 3), para(RESEARCH_USE, "small"), Spacer(1, 4), table]


def answer(data: ReportData) -> list[Any]:
    """The guideline's answer with the bars of the shares."""
    decision = data.decision
    if decision is None:
        return [_box([para("Nothing has been scored", "headline")], WIDTH)]
    left: list[Any] = [para(f"Answer under {decision.profile_title}", "label"), *_headline(decision)]
    if decision.reason:
        left.append(para(decision.reason))
    if decision.margin is not None:
        text = f"{decision.margin:.1f} percentage points away from: {decision.nearest or 'another answer'}"
        left.append(para(("▲ Close to another answer: " if decision.near else "") + text, _near(decision)))
    if decision.review:
        left.append(
            para("▲ No literal row of the guideline fits: valid only with the pathologist's own score.", "amber")
        )
    left += _own_probabilities(data)
    if data.result is not None and data.areas.scored < 0.995 * data.areas.roi:
        scored, whole = mm2_number(data.areas.scored), mm2_number(data.areas.roi)
        left.append(para(f"▲ Only {scored} of {whole} mm² of the region has been scored.", "amber"))
    left.append(para(f"Counted: {decision.counted}.", "small"))
    if decision.shares is not None and decision.shares.excluded > 0:
        left.append(para(f"Seen and left out as not tumour: {_amount(decision)}.", "small"))
    shares = decision.shares
    if shares is not None and shares.unclassified > 0:
        share = percent_text(100 * shares.unclassified_fraction, limits=())
        left.append(para(f"Tumour without a class: {mm2_number(shares.unclassified)} mm² ({share}).", "small"))
    if shares is not None and shares.entropy is not None and shares.unit is CountedUnit.CELLS:
        left.append(para(entropy_sentence(shares.entropy), "small"))
    if data.change.any:
        left.append(para(change_sentence(data.change), "small"))
    if data.cell_change.any:
        left.append(para(cell_change_sentence(data.cell_change), "small"))
    if shares is None or shares.total <= 0:
        return [_box(left, WIDTH)]
    half = WIDTH / 2 - 14
    bars = [
        para(f"Shares of {shares.unit.value}", "label"),
        share_bars(shares, decision.limits, data.palette, half),
    ]
    if shares.interval is not None:
        side = f"{shares.interval.block_um / 1000:g} mm"
        bars.append(para(f"Lines in the bars: 95 % interval over blocks of tissue of {side}.", "tiny"))
    elif shares.half_width is not None:
        bars.append(para("Lines in the bars: 95 % interval of each share.", "tiny"))
    table = Table([[left, bars]], colWidths=[WIDTH / 2 - 3, WIDTH / 2 + 3])
    table.setStyle(BOXED)
    return [table]


def why(decision: Decision | None) -> list[Any]:
    """The rows tested, in order, and what follows from them."""
    if decision is None:
        return []
    out: list[Any] = []
    if decision.trace:
        rows: list[list[Any]] = [
            [para(t, "label") for t in ("Row, in the order of testing", "Number", "Limit", "Result", "Margin")]
        ]
        marked = []
        notes = list(dict.fromkeys(test.confirm for test in decision.trace if test.confirm))
        for number, test in enumerate(decision.trace, 1):
            rows.append(_trace_row(test, notes.index(test.confirm) + 1 if test.confirm else 0))
            if test.fired:
                marked.append(("BACKGROUND", (0, number), (-1, number), TINT))
        table = Table(rows, colWidths=[WIDTH * f for f in (0.52, 0.12, 0.12, 0.12, 0.12)], repeatRows=1)
        table.setStyle([*LINED, *marked])
        out += [para("Why", "head"), table, Spacer(1, 2)]
        # A noise floor is ours: there is nothing to confirm in the guideline.
        footnotes = [
            f"<super>{n}</super> {'' if 'limit ours' in note else 'To be confirmed: '}{markup(note)}"
            for n, note in enumerate(notes, 1)
        ]
        out.append(rich("&nbsp; ".join([markup(decision.profile_reference) + ".", *footnotes]), "tiny"))
    columns = [
        _list("Next step", decision.next_steps),
        _list("What is missing", decision.missing),
        _list("Comments", decision.comments),
    ]
    filled = [c for c in columns if c]
    if filled:
        table = Table([filled], colWidths=[WIDTH / len(filled)] * len(filled))
        table.setStyle([*FLAT, ("RIGHTPADDING", (0, 0), (-1, -1), 8)])
        out.append(table)
    return out


def others(decisions: Iterable[Decision]) -> list[Any]:
    """The answer under every other profile."""
    rows: list[list[Any]] = [
        [para(t, "label") for t in ("Answer under other profiles", "Answer", "Margin", "Counted")]
    ]
    for d in decisions:
        margin = "" if d.margin is None else f"{d.margin:.1f} points{' ▲' if d.near else ''}"
        rows.append(
            [
                para(d.profile_title, "small"),
                para(d.headline, "smallbold"),
                para(margin, "small"),
                para(d.counted, "tiny"),
            ]
        )
    if len(rows) == 1:
        return []
    table = Table(rows, colWidths=[WIDTH * f for f in (0.27, 0.31, 0.12, 0.3)])
    table.setStyle(LINED)
    return [Spacer(1, 3), table]


def own_part(data: ReportData) -> list[Any]:
    """The pathologist's own score and comment, or room for them."""
    own = data.own
    line = "." * 34
    signed = [
        rich(f"<b>Own score</b>  {markup(_short(own.score, 60)) or _TICK}"),
        rich(f"<b>Name</b>  {markup(_short(own.name, 120)) or line}"),
        rich(f"<b>Date, signature</b>  {markup(own.signed_at)} {line if not own.signed_at else '.' * 20}"),
    ]
    if own.reason:
        signed.insert(1, rich(f"<b>Why it differs</b>  {markup(_reason_in_box(own))}"))
    comment: list[Any] = [para("Comment", "bold")]
    if not own.comment:
        comment.append(Spacer(1, 60))
    elif len(own.comment) > _LONG_COMMENT:
        comment.append(para("see “Comment of the pathologist” below"))
    else:
        comment.append(para(own.comment))
    spaced: list[Any] = []
    for item in signed:
        spaced += [item, Spacer(1, 13 if len(own.comment) <= _LONG_COMMENT else 6)]
    table = Table([[spaced, comment]], colWidths=[WIDTH * 0.42, WIDTH * 0.58])
    table.setStyle(BOXED)
    return [para("Pathologist", "head"), table]


def long_comment(data: ReportData) -> list[Any]:
    """Words of the pathologist that do not fit into the box."""
    own = data.own
    out: list[Any] = []
    if _reason_in_box(own) != own.reason:
        out += [para("Why the pathologist's score differs", "head"), *_paragraphs(own.reason)]
    if len(own.comment) > _LONG_COMMENT:
        out += [para("Comment of the pathologist", "head"), *_paragraphs(own.comment)]
    return out


def _reason_in_box(own: OwnAnswer) -> str:
    return own.reason if len(own.reason) <= _LONG_COMMENT / 2 else "see below"


def _paragraphs(text: str) -> list[Any]:
    return [para(part) for part in text.split("\n") if part.strip()]


def regions(apart: Sequence[RegionShares]) -> list[Any]:
    """Each region by itself, where there is more than one."""
    known = any(r.reviewed is not None for r in apart)
    if len(apart) < 2 or (not known and all(r.shares is None for r in apart)):
        return []
    looked = ["Looked at"] if known else []
    heading = ("Regions", "Area", *looked, *(f"{name} %" for name in HER2_LABELS), "Counted")
    rows = [[para(t, "label") for t in heading]]
    for letter, region in zip(REGION_LETTERS, apart[:_MOST_REGIONS], strict=False):
        shares = region.shares
        cells = ["–"] * 4 + ["nothing"]
        if shares is not None and shares.total > 0:
            unit = "cells" if shares.unit is CountedUnit.CELLS else "mm²"
            total = f"{shares.total:,.0f}" if shares.unit is CountedUnit.CELLS else f"{shares.total:,.2f}"
            cells = [*(percent_text(value).removesuffix(" %") for value in shares.percent), f"{total} {unit}"]
        seen = ["–" if region.reviewed is None else share_text(region.reviewed)] if known else []
        texts = (f"{letter}  {_short(region.name, 60)}", f"{mm2_number(region.area_mm2)} mm²", *seen, *cells)
        rows.append([para(text, "small") for text in texts])
    widths = (0.26, 0.13, 0.11, 0.08, 0.08, 0.08, 0.08, 0.18) if known else (0.34, 0.14, 0.08, 0.08, 0.08, 0.08, 0.2)
    table = Table(rows, colWidths=[WIDTH * f for f in widths], repeatRows=1)
    table.setStyle(LINED)
    out: list[Any] = [Spacer(1, 5), table]
    if len(apart) > _MOST_REGIONS:
        out.append(para(f"and {len(apart) - _MOST_REGIONS} more (complete in the JSON file)", "tiny"))
    return out


def change_sentence(change: MaskChange) -> str:
    """``The reader added 0.12 mm² and removed 0.30 mm² of tumour.``"""
    parts = [
        f"{verb} {mm2_number(amount)} mm²"
        for verb, amount in (("added", change.added), ("removed", change.removed))
        if amount > 0
    ]
    return f"The reader {' and '.join(parts)} of tumour."


def cell_change_sentence(change: CellChange) -> str:
    """``The reader gave 12 cells another class and removed 1.``, and how many corrections find no cell."""
    parts = []
    if change.reclassified:
        parts.append(f"gave {count_text(change.reclassified)} another class")
    if change.removed:
        parts.append(f"removed {f'{change.removed:,}' if parts else count_text(change.removed)}")
    said = [f"The reader {' and '.join(parts)}."] if parts else []
    if change.unfit:
        what = "1 correction of a cell finds" if change.unfit == 1 else f"{change.unfit:,} corrections of cells find"
        said.append(f"{what} no cell in this result.")
    return " ".join(said)


def _looked_at(reviewed: Reviewed) -> str:
    return f"{share_text(reviewed.share)} of the region at {reviewed.magnification:g}x or more"


def provenance(data: ReportData) -> list[Any]:
    """Enough to obtain the result again."""
    out: list[Any] = [para("How it was obtained", "head")]
    width, height = data.slide_size_px
    items = {
        "Slide file": f"{data.slide_name} ({data.slide_format}, {width:,} × {height:,} px)",
        "Slide hash": data.slide_identity,
        "Pixel size": pixel_size_text(data.pixel_size),
        "Report made": data.created,
        "Versions": ", ".join(f"{k} {v}" for k, v in data.versions.items()),
    }
    result = data.result
    sentence = "No image analysis was run."
    if result is not None:
        p = result.provenance
        sentence = (
            f"Image analysis was used: scorer {data.scorer_title or p.scorer} {p.scorer_version} in her2viewer "
            f"{p.program_version}. Its result is kept with the hashes below; the same input gives the same result."
        )
        items |= {
            "Scorer": f"{p.scorer} {p.scorer_version} on {p.device}",
            "Region hash": p.region_hash,
            "Scored": f"{mm2_number(data.areas.scored)} of {mm2_number(data.areas.roi)} mm²",
            "Run": ", ".join(t for t in (_duration(p.duration_s), p.started and f"started {p.started}") if t),
            "Pixel size used": f"{p.mpp:.4f} µm/px ({p.mpp_source})",
            "Settings": _values(p.settings) or "none",
            "Estimated on the slide": _values(p.estimates) or "nothing",
            "Weights": _values(p.weights) or "none: this scorer has no trained weights",
        }
        if result.warnings:
            items["Warnings"] = _short("; ".join(w.text for w in result.warnings), _LONGEST_JSON)
    return [*out, para(sentence, "small"), Spacer(1, 3), _pairs(items, 1)]


def pixel_size_text(size: PixelSize, *, detail: bool = True) -> str:
    """Pixel size with its source; with ``detail`` the place in the file, too."""
    same = abs(size.x_um - size.y_um) < 5e-5
    value = f"{size.x_um:.4f}" if same else f"{size.x_um:.4f} × {size.y_um:.4f}"
    place = f", {size.detail}" if size.detail and detail else ""
    doubt = "" if size.plausible else "; implausible"
    return f"{value} µm/px, {size.source.value}{place}{doubt}"


def _excluded(data: ReportData) -> str:
    return f"{mm2_number(data.areas.excluded)} mm² excluded" if data.areas.excluded > 0 else "nothing excluded"


def _made(data: ReportData) -> str:
    return f"her2viewer {data.versions.get('her2viewer', '')}\n{data.created[:16].replace('T', ' ')}"


def _headline(decision: Decision) -> list[Any]:
    flags = f" ({', '.join(decision.flags)})" if decision.flags else ""
    main = decision.headline.removesuffix(flags)
    out: list[Any] = [para(main, "headline")]
    if decision.flags:
        out.append(para(", ".join(decision.flags), "bold"))
    out.append(Spacer(1, 3))
    return out


def _own_probabilities(data: ReportData) -> list[Any]:
    result = data.result
    if result is None:
        return []
    out = []
    if result.score_probabilities is not None:
        parts = zip(HER2_LABELS, result.score_probabilities, strict=True)
        out.append(para("Probabilities: " + ", ".join(f"{label} {100 * p:.0f} %" for label, p in parts), "small"))
    if result.status is not None and result.status_probability is not None:
        out.append(para(f"Probability of {result.status.value}: {100 * result.status_probability:.0f} %", "small"))
    return out


def entropy_sentence(entropy: float) -> str:
    """How mixed the classes are, beside the medians of the paper."""
    return (
        f"Heterogeneity (Shannon entropy of the four shares): {entropy:.2f} of at most 1.39; published medians "
        f"{CONCORDANT_ENTROPY} where reader and scorer agreed, {DISCORDANT_ENTROPY} where they did not."
    )


def _near(decision: Decision) -> str:
    return "amber" if decision.near else "small"


def _amount(decision: Decision) -> str:
    shares = decision.shares
    if shares is None:
        return ""
    if shares.unit is CountedUnit.CELLS:
        kinds = ", ".join(f"{name} {amount:,.0f}" for name, amount in shares.left_out if len(shares.left_out) > 1)
        return f"{shares.excluded:,.0f} cells" + (f" ({kinds})" if kinds else "")
    return f"{mm2_number(shares.excluded)} mm²"


def _trace_row(test: RowTest, note: int) -> list[Any]:
    text = markup(test.question) + (f"&nbsp;<super>{note}</super>" if note else "")
    if test.value is None or test.limit is None or test.margin is None:
        value = limit = margin = ""
    else:
        value = markup(percent_text(test.value, 2, (test.limit, 100.0)))
        limit = markup(f"{_SIGN.get(test.operator, test.operator)} {test.limit:g} %")
        margin = f"{test.margin:+.2f}".replace("+0.00", "0.00") + (" ▲" if test.near else "")
    result = "<b>YES</b>" if test.fired else "no"
    return [
        rich(text, "small"),
        rich(value, "small"),
        rich(limit, "small"),
        rich(result, "small"),
        rich(margin, "small"),
    ]


def _list(title: str, texts: Iterable[str]) -> list[Any]:
    known = list(texts)
    items = [rich(f"–&nbsp;{markup(_short(t, _LONGEST_FIELD))}", "small") for t in known[:_MOST_ITEMS]]
    if len(known) > _MOST_ITEMS:
        items.append(para(f"and {len(known) - _MOST_ITEMS} more (complete in the JSON file)", "small"))
    return [Spacer(1, 3), para(title, "head"), *items] if items else []


def _pairs(items: Mapping[str, str], columns: int, width: float = WIDTH) -> Any:
    """Labels and values in one or two columns of pairs."""
    cells = [[para(k, "label"), para(v, "small")] for k, v in items.items()]
    while len(cells) % columns:
        cells.append(["", ""])
    per = len(cells) // columns
    rows = [[part for c in range(columns) for part in cells[c * per + r]] for r in range(per)]
    label = 31 * mm if columns == 1 and width == WIDTH else 27 * mm
    table = Table(rows, colWidths=[label, width / columns - label] * columns)
    table.setStyle([*FLAT, ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5), ("RIGHTPADDING", (0, 0), (-1, -1), 6)])
    return table


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _values(values: Mapping[str, Any]) -> str:
    parts = [f"{k} = {_value(v)}" for k, v in values.items()]
    text = "; ".join(parts)
    if len(text) > _LONGEST_JSON:
        text = text[:_LONGEST_JSON].rsplit("; ", 1)[0] + "; … (complete in the JSON file)"
    return text


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_value(v)}" for k, v in value.items()) + "}"
    if value is None or (isinstance(value, str) and not value):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _box(content: list[Any], width: float) -> Any:
    table = Table([[content]], colWidths=[width])
    table.setStyle(BOXED)
    return table
