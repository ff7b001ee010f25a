"""``her2viewer info SLIDE``: what a slide is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output
from her2viewer.domain.pixelsize import PixelSize, mpp_from_objective
from her2viewer.slides.slide import Slide, SlideError


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="her2viewer info", description="What a slide is: size, levels, pixel size, properties."
    )
    parser.add_argument("slide", type=Path, metavar="SLIDE")
    parser.add_argument("--properties", action="store_true", help="list all properties of the file, too")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, with all properties")
    options = parser.parse_args(argv)
    output = Output(options.json)
    try:
        facts = slide_facts(options.slide)
    except SlideError as error:
        return output.fail(CommandError(exit_codes.SLIDE_UNREADABLE, str(error)))
    if options.json:
        output.machine({"ok": True, **facts})
    else:
        _show(output, facts, options.properties)
    return exit_codes.OK


def slide_facts(path: Path) -> dict[str, Any]:
    """What is known of a slide, as JSON values.

    Raises:
        SlideError: it cannot be opened.
    """
    from her2viewer.cases.places import existing_case
    from her2viewer.slides.open import open_slide
    from her2viewer.slides.pixel_size import PixelSizeStore

    with open_slide(path) as slide:
        entered = PixelSizeStore().get(slide.identity)
        images = {name: [image.shape[1], image.shape[0]] for name, image in slide.associated_images().items()}
        case = existing_case(path, slide.identity)
        return {
            "path": str(path.absolute()),
            "format": slide.format,
            "identity": slide.identity,
            "width": slide.width,
            "height": slide.height,
            "levels": [
                {
                    "width": level.width,
                    "height": level.height,
                    "downsample": level.downsample,
                    "tile": [level.tile_width, level.tile_height],
                }
                for level in slide.levels
            ],
            "pixel_size": _size(entered or slide.pixel_size),
            "pixel_size_hint_um": _hint(slide),
            "objective_power": slide.objective_power,
            "background": list(slide.background),
            "bounds_offset": list(slide.bounds_offset),
            "icc_profile_bytes": len(slide.icc_profile) if slide.icc_profile else 0,
            "associated_images": images,
            "case": _case(case),
            "properties": dict(sorted(slide.properties.items())),
        }


def missing_pixel_size(slide: Slide, size: PixelSize | None) -> str:
    """Why a pixel size is needed and how to give it, as a sentence; for a size that is missing or implausible."""
    hint = _hint(slide)
    proposal = (
        f"Its objective of {slide.objective_power:g}x suggests about {hint:g} um: --mpp {hint:g}"
        if hint
        else "Give it in um per pixel, for example --mpp 0.25 for most 40x scans or --mpp 0.5 for 20x."
    )
    if size is None:
        return f"The file does not say how large a pixel is. {proposal}"
    return (
        f"The pixel size of {size.mpp:g} um ({size.source}) cannot be right: slide scanners work between 0.05 and "
        f"20 um. {proposal}"
    )


def _case(folder: Path | None) -> dict[str, Any] | None:
    """A case with the state of its audit trail."""
    if folder is None:
        return None
    from her2viewer.cases.store import CaseStore

    check = CaseStore(folder).verify()
    return {"folder": str(folder), "journal_entries": check.entries, "journal_problem": check.problem or None}


def _hint(slide: Slide) -> float | None:
    return round(mpp_from_objective(slide.objective_power), 4) if slide.objective_power else None


def _size(size: PixelSize | None) -> dict[str, Any] | None:
    if size is None:
        return None
    return {
        "x_um": size.x_um,
        "y_um": size.y_um,
        "source": str(size.source),
        "detail": size.detail,
        "plausible": size.plausible,
    }


def _show(output: Output, facts: dict[str, Any], with_properties: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = output.people()
    console.print(f"[bold]{escape(Path(facts['path']).name)}[/bold]  {escape(facts['format'])}")
    table = Table.grid(padding=(0, 2))
    size = facts["pixel_size"]
    width, height = facts["width"], facts["height"]
    extent = f"{width:,} x {height:,} px"
    if size and size["plausible"]:
        extent += f", {width * size['x_um'] / 1000:.3g} x {height * size['y_um'] / 1000:.3g} mm"
    table.add_row("Size", extent)
    if size:
        doubt = "" if size["plausible"] else "  [yellow]implausible: give --mpp when scoring[/yellow]"
        table.add_row("Pixel size", f"{size['x_um']:.4g} x {size['y_um']:.4g} um, {escape(size['source'])}{doubt}")
    else:
        hint = facts["pixel_size_hint_um"]
        suggested = f" (the objective suggests {hint:g})" if hint else ""
        table.add_row("Pixel size", f"[yellow]not in the file: give --mpp when scoring{suggested}[/yellow]")
    if facts["objective_power"]:
        table.add_row("Objective", f"{facts['objective_power']:g}x")
    for number, level in enumerate(facts["levels"]):
        tile = f"tiles {level['tile'][0]} x {level['tile'][1]}"
        text = f"{level['width']:,} x {level['height']:,}, 1/{level['downsample']:.6g}, {tile}"
        table.add_row(f"Level {number}", text)
    images = ", ".join(f"{name} {w} x {h}" for name, (w, h) in facts["associated_images"].items())
    table.add_row("Images", escape(images) or "none")
    icc = facts["icc_profile_bytes"]
    table.add_row("Colour profile", f"{icc:,} bytes" if icc else "none")
    if facts["bounds_offset"] != [0, 0]:
        table.add_row("Bounds offset", "{} x {} px".format(*facts["bounds_offset"]))
    table.add_row("Identity", facts["identity"])
    case = facts["case"]
    table.add_row("Case", escape(case["folder"]) if case else "none yet")
    if case:
        table.add_row("Journal", escape(case["journal_problem"] or f"{case['journal_entries']} lines, whole"))
    console.print(table)
    if with_properties:
        for key, value in facts["properties"].items():
            console.print(f"  [dim]{escape(key)}[/dim] {escape(str(value))}")
