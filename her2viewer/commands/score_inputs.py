"""What the commands that score are given: slide, outlines, pixel size, settings; each mistake is one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.registry import DEVICE_SETTING
from her2viewer.slides.slide import Slide

if TYPE_CHECKING:
    from her2viewer.scoring.manifest import Manifest

_NOTABLE = 0.005
"""Part of an outline outside the slide from which it is worth a word."""


def slide_and_roi(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Path of the slide and of the region.

    Raises:
        CommandError: no slide is named, or things that exclude one another.
    """
    if options.sample:
        if options.slide is not None:
            raise CommandError(exit_codes.USAGE, "Give a slide or --sample, not both.")
        from her2viewer.resources import resource_path

        try:
            slide = resource_path("sample", "sample_her2.tif")
            return slide, options.roi or slide.with_suffix(".geojson")
        except FileNotFoundError as error:
            raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
    if options.slide is None:
        raise CommandError(exit_codes.USAGE, "Name a slide to be scored, or give --sample.")
    if options.roi is not None and options.whole_slide:
        raise CommandError(exit_codes.USAGE, "Give --roi or --whole-slide, not both.")
    return options.slide, options.roi


def device_pair(wish: str | None, manifest: Manifest) -> list[str]:
    """``--device`` as a setting.

    Raises:
        ValueError: the scorer has no networks.
    """
    if wish is None:
        return []
    if any(s.id == DEVICE_SETTING for s in manifest.settings):
        return [f"{DEVICE_SETTING}={wish}"]
    if wish in ("auto", "cpu"):
        return []
    raise ValueError(f"The scorer {manifest.id} has no networks and runs on the processor; leave out --device.")


def settings_of(pairs: Sequence[str], manifest: Manifest) -> dict[str, Any]:
    """The settings of ``--set``, each in the type of the manifest.

    Raises:
        ValueError: a sentence that names the setting.
    """
    types = {s.id: s.type for s in manifest.settings}
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not key:
            raise ValueError(f"--set takes KEY=VALUE, not {pair!r}.")
        match types.get(key):
            case "bool":
                known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False}
                known |= {"off": False, "0": False}
                values[key] = known.get(text.lower(), text)
            case "int" | "float":
                try:
                    values[key] = float(text)
                except ValueError:
                    values[key] = text
            case _:
                values[key] = text
    return values


def pixel_size_of(slide: Slide, mpp: float | None) -> PixelSize:
    """The pixel size of ``--mpp``, else what is known of the slide.

    Raises:
        CommandError: there is none, or it cannot be right.
    """
    from her2viewer.commands.info import missing_pixel_size
    from her2viewer.slides.pixel_size import PixelSizeStore, resolve_pixel_size

    if mpp is not None:
        size = PixelSize(mpp, mpp, PixelSizeSource.USER, "--mpp") if mpp > 0 else None
        if size is None or not size.plausible:
            raise CommandError(exit_codes.USAGE, f"--mpp {mpp:g} cannot be right: give um per pixel, 0.05 to 20.")
        return size
    found = resolve_pixel_size(slide, PixelSizeStore())
    if found is None or not found.plausible:
        raise CommandError(exit_codes.USAGE, missing_pixel_size(slide, found))
    return found


def outlines_of(slide: Slide, path: Path, roi: Path | None, whole_slide: bool, output: Output) -> AnnotationSet:
    """The outlines, with at least some region to score on the slide.

    Raises:
        CommandError: nothing is outlined on this slide.
    """
    from her2viewer.cases.geojson import GeoJsonError, load_geojson
    from her2viewer.cases.places import existing_case

    everything = Region.rectangle(0, 0, slide.width, slide.height)
    if whole_slide:
        return AnnotationSet((Annotation.drawn(everything.geometry, Role.ROI, name="Whole slide"),))
    if roi is None:
        case = existing_case(path, slide.identity)
        drawn = f' What was outlined in the window is in "{case / "annotations.geojson"}".' if case else ""
        raise CommandError(
            exit_codes.USAGE,
            "Say what to score: --roi FILE with the outline of the invasive carcinoma (GeoJSON, from this program or "
            f"from QuPath), or --whole-slide to score everything, tumour or not.{drawn}",
        )
    try:
        content = load_geojson(roi)
    except GeoJsonError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    for sentence in (*content.skipped, *content.notices):
        output.aside().print(f"{roi.name}: {sentence}", markup=False)
    region = content.annotations.region()
    if region.empty:
        reasons = " ".join(content.skipped) or _why_nothing(content.annotations)
        raise CommandError(exit_codes.USAGE, f"{roi.name} outlines nothing to be scored. {reasons}")
    if region.intersection(everything).empty:
        raise CommandError(
            exit_codes.USAGE,
            f"The outlines of {roi.name} lie outside the slide ({slide.width:,} x {slide.height:,} px). "
            "They belong to another slide or another resolution.",
        )
    outside = 1 - region.intersection(everything).geometry.area / region.geometry.area
    if outside > _NOTABLE:
        output.aside().print(
            f"{roi.name}: {100 * outside:.0f} % of the outlined area lies outside the slide. Is it of this slide?",
            markup=False,
        )
    return content.annotations


def _why_nothing(annotations: AnnotationSet) -> str:
    """What a file holds that leaves nothing to be scored."""
    kinds = {Role.EXCLUDE: "regions to be left out", Role.CONTROL: "control tissue", Role.NOTE: "notes"}
    found = dict.fromkeys(
        f"{kinds[a.role]} (class {a.class_name})" if a.class_name else kinds[a.role]
        for a in annotations
        if a.role in kinds
    )
    if annotations.with_role(Role.ROI):
        return "The regions to be left out cover all of the tumour."
    if not found:
        return "It holds no outlines."
    return f"It holds only {' and '.join(found)}. Give a closed outline of the invasive carcinoma the class Tumor."
