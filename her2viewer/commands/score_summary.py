"""What ``her2viewer score`` says at its end, for people and for machines."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.domain.classes import HER2_LABELS
from her2viewer.domain.shares import CountedUnit, Shares, percent_text
from her2viewer.reports.regions import regions_apart

if TYPE_CHECKING:
    from her2viewer.commands.output import Output
    from her2viewer.commands.scored import Scored


def measurements(scored: Scored) -> dict[str, dict[str, float]]:
    """Measurements of each outline for GeoJSON, by annotation id, as QuPath shows them."""
    table: dict[str, dict[str, float]] = {}
    for roi in regions_apart(scored.annotations, scored.result, scored.pixel_size, scored.whole):
        shares = roi.shares
        if shares is None or shares.total <= 0:
            continue
        amount = "cells" if shares.unit is CountedUnit.CELLS else "mm2"
        values = {f"HER2: {name} %": share for name, share in zip(HER2_LABELS, shares.percent, strict=True)}
        table[roi.id] = {**values, f"HER2: counted {amount}": shares.total}
    return table


def summary(scored: Scored, written: dict[str, str], elsewhere: str = "") -> dict[str, Any]:
    """JSON values of the answer; ``elsewhere`` says that another case holds corrections."""
    from her2viewer.commands.score_corrected import sentences

    result, decision = scored.result, scored.decision
    size = scored.pixel_size
    return {
        "slide": {"path": str(scored.slide.path), "identity": scored.slide.identity},
        "pixel_size": {"um": size.mpp, "source": str(size.source)},
        "region_mm2": scored.annotations.region().intersection(scored.whole).area_mm2(size),
        "scorer": {"id": scored.manifest.id, "title": scored.manifest.title, "version": scored.manifest.version},
        "shares": _shares(result.shares),
        "regions": [
            {
                "id": roi.id,
                "name": roi.name,
                "area_mm2": roi.area_mm2,
                "shares": _shares(roi.shares),
                "headline": _answer(scored, roi.shares),
            }
            for roi in regions_apart(scored.annotations, result, size, scored.whole)
        ],
        "not_assessable": None
        if result.not_assessable is None
        else {
            "code": result.not_assessable.code,
            "reason": result.not_assessable.reason,
            "advice": result.not_assessable.advice,
        },
        "decision": {
            "profile": decision.profile,
            "profile_title": decision.profile_title,
            "outcome": decision.outcome,
            "score": decision.score,
            "status": decision.status,
            "headline": decision.headline,
            "near": decision.near,
            "margin": decision.margin,
            "counted": decision.counted,
            "flags": list(decision.flags),
            "next_steps": list(decision.next_steps),
            "missing": list(decision.missing),
        },
        "other_profiles": {d.profile: d.headline for d in scored.others},
        "corrections": {
            "applied": not scored.corrected.word.empty,
            "mask": asdict(scored.corrected.change),
            "cells": asdict(scored.corrected.cell_change),
            "notes": [*sentences(scored.corrected), *([elsewhere] if elsewhere else [])],
        },
        "warnings": [{"code": w.code, "text": w.text} for w in result.warnings],
        "duration_s": round(result.provenance.duration_s, 3),
        "files": written,
    }


def show(output: Output, facts: dict[str, Any]) -> None:
    """The answer on the terminal."""
    from rich.markup import escape
    from rich.table import Table

    from her2viewer import RESEARCH_USE

    console = output.people()
    decision = facts["decision"]
    console.print(f"\n[bold]{escape(decision['headline'])}[/bold]  [dim]{escape(decision['profile_title'])}[/dim]")
    refused = facts["not_assessable"]
    if refused:
        console.print(f"{escape(refused['reason'])} {escape(refused['advice'])}")
    if facts["shares"] and facts["shares"]["total"] > 0:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("")
        for name in HER2_LABELS:
            table.add_column(f"{name} %", justify="right")
        table.add_column("counted", justify="right")
        table.add_column("mm2", justify="right")
        rows = [r for r in facts["regions"] if r["shares"]]
        apart = len(rows) > 1
        if apart:
            table.add_column("answer for it alone")
        for row in rows if apart else ():
            answer = escape(row["headline"] or "")
            table.add_row(escape(row["name"]), *_cells(row["shares"]), f"{row['area_mm2']:.3f}", answer)
        table.add_row("[bold]All[/bold]", *_cells(facts["shares"]), f"{facts['region_mm2']:.3f}")
        console.print(table)
        console.print(f"Counted: {escape(decision['counted'])}")
    for note in facts["corrections"]["notes"]:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}")
    for label, entries in (("Flag", decision["flags"]), ("Next", decision["next_steps"])):
        for entry in entries:
            console.print(f"{label}: {escape(entry)}")
    for entry in decision["missing"]:
        console.print(f"[yellow]Note:[/yellow] {escape(entry)}")
    console.print("[dim]Other profiles:[/dim] " + escape(_others(facts["other_profiles"])))
    console.print(f"[dim]Written in {facts['duration_s']:.1f} s of scoring:[/dim]")
    for path in facts["files"].values():
        console.print(f"  {escape(str(Path(path)))}", soft_wrap=True)
    console.print(f"[dim]{RESEARCH_USE}[/dim]")


def _others(headlines: dict[str, str]) -> str:
    return "; ".join(f"{profile} {headline}" for profile, headline in headlines.items())


def _cells(shares: dict[str, Any]) -> list[str]:
    total = shares["total"]
    if total <= 0:
        return ["-"] * len(HER2_LABELS) + ["nothing"]
    counted = f"{total:,.0f}" if shares["unit"] == CountedUnit.CELLS else f"{total:.3f} mm2"
    return [percent_text(value).removesuffix(" %") for value in shares["percent"].values()] + [counted]


def _answer(scored: Scored, shares: Shares | None) -> str | None:
    """The guideline's answer were there no other region."""
    from her2viewer.guidelines.engine import decide_result

    if shares is None:
        return None
    return decide_result(scored.profile, replace(scored.result, shares=shares), **scored.marks).headline


def _shares(shares: Shares | None) -> dict[str, Any] | None:
    if shares is None:
        return None
    return {
        "unit": str(shares.unit),
        "amounts": dict(zip(HER2_LABELS, shares.amounts, strict=True)),
        "percent": dict(zip(HER2_LABELS, shares.percent, strict=True)),
        "total": shares.total,
        "excluded": shares.excluded,
    }
