"""Slides of a set scored one after the other, each kept on disk, so that work goes on where it was broken off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer import __version__
from her2viewer.cases.atomic import StorageError, make_folder
from her2viewer.cases.geojson import GeoJsonError, load_geojson
from her2viewer.cases.result_file import read_result, write_result
from her2viewer.domain.evidence import CellTable, Evidence
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.domain.result import Result
from her2viewer.scoring.contract import Cancelled, ScorerError
from her2viewer.scoring.job import JobEvent, JobRequest, score_slide
from her2viewer.scoring.manifest import Manifest
from her2viewer.scoring.model_folder import ModelError
from her2viewer.scoring.model_store import find_model
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import Slide, SlideError
from her2viewer.training.dataset import SlideEntry

if TYPE_CHECKING:
    from her2viewer.scoring.runtime import LocalRuntime

KEPT_FORMAT = 1
"""Raised when what is kept changes."""


@dataclass(frozen=True)
class ScoredSlide:
    """What became of one slide."""

    entry: SlideEntry
    region: Region | None
    mpp: float
    """um per level-0 px; NaN where the slide could not be opened."""
    result: Result | None
    problem: str = ""
    """Why there is no result, a sentence."""


def score_entry(
    entry: SlideEntry,
    manifest: Manifest,
    settings: Mapping[str, Any],
    folder: Path,
    runtime: LocalRuntime,
    *,
    on_event: Callable[[JobEvent], None] | None = None,
    keep: Callable[[Evidence], Evidence] | None = None,
    for_calibration: bool = False,
) -> ScoredSlide:
    """Score one slide of a set, or read what an earlier call kept.

    A slide that cannot be opened or that the scorer breaks down on has a ``problem``; the others go on.

    Args:
        entry: the slide.
        manifest: of the scorer.
        settings: complete settings.
        folder: where results are kept.
        runtime: threads and cancel.
        on_event: told what the scorer says.
        keep: what is kept of each piece of evidence; by default cells lose their outlines.
        for_calibration: of ``JobRequest``.

    Raises:
        Cancelled: from the runtime.
        StorageError: nothing can be kept.
    """
    nothing = ScoredSlide(entry, None, float("nan"), None)
    try:
        with open_slide(entry.slide) as slide:
            size = _pixel_size(entry, slide)
            region = _region(entry, slide)
            request = JobRequest(
                scorer=manifest.id,
                slide_path=str(entry.slide),
                slide_identity=slide.identity,
                pixel_size=size,
                region=region,
                settings=dict(settings),
                threads=runtime.threads,
                for_calibration=for_calibration,
            )
            path = folder / manifest.id / f"{_key(request, manifest)}.h5"
            result = _kept(path)
            if result is None:
                result = score_slide(request, slide, runtime, on_event=on_event)
                result = replace(result, evidence=tuple((keep or without_outlines)(e) for e in result.evidence))
                make_folder(path.parent)
                write_result(path, result)
            return ScoredSlide(entry, region, size.mpp, result)
    except (Cancelled, StorageError):
        raise
    except (SlideError, GeoJsonError, ScorerError, ModelError, ValueError) as error:
        return replace(nothing, problem=str(error))
    except Exception as error:
        # A scorer is foreign code: one slide that it breaks down on must not end the other forty.
        return replace(nothing, problem=f"The scorer broke down ({type(error).__name__}: {error}).")


def without_outlines(evidence: Evidence) -> Evidence:
    """Evidence without the outlines of cells, which are most of its bytes and in no measure."""
    if isinstance(evidence, CellTable):
        return replace(evidence, contours=None, contour_starts=None)
    return evidence


def _pixel_size(entry: SlideEntry, slide: Slide) -> PixelSize:
    if entry.mpp is not None:
        return PixelSize(entry.mpp, entry.mpp, PixelSizeSource.USER, "data set")
    size = slide.pixel_size
    if size is None or not size.plausible:
        raise ValueError("The file does not say its pixel size; write mpp = ... for this slide into the data set.")
    return size


def _region(entry: SlideEntry, slide: Slide) -> Region:
    everything = Region.rectangle(0, 0, slide.width, slide.height)
    if entry.roi is None:
        return everything
    region = load_geojson(entry.roi).annotations.region().intersection(everything)
    if region.empty:
        raise ValueError(f"{entry.roi.name} outlines nothing on this slide.")
    return region


def _key(request: JobRequest, manifest: Manifest) -> str:
    parts = {
        "format": KEPT_FORMAT,
        "scorer": [manifest.id, manifest.version],
        "code": _code(manifest),
        "settings": dict(request.settings),
        "slide": request.slide_identity,
        "region": request.region.hash,
        "mpp": request.pixel_size.mpp,
        "for_calibration": request.for_calibration,
    }
    if manifest.models:
        # A network that was trained anew keeps its name.
        parts["models"] = [find_model(manifest.id, name).sha256 for name in manifest.chosen_models(request.settings)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _code(manifest: Manifest) -> str:
    """Hash of the scorer's own files: while a scorer is worked on, its version stands still and its code does not."""
    from her2viewer import stains

    digest = hashlib.sha256(__version__.encode())
    for folder in (manifest.folder, *(Path(p) for p in stains.__path__)):
        for path in sorted(folder.glob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(path: Path) -> Result | None:
    if not path.exists():
        return None
    try:
        return read_result(path)
    except (StorageError, ValueError, OSError):
        # Cut off or of another version: it is made again.
        return None
