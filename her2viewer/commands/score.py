"""``her2viewer score SLIDE``: the whole trip without the window; the same generator that the window runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output
from her2viewer.commands.scored import CASE_FIELDS, Scored
from her2viewer.domain.annotation import Annotation, AnnotationSet, Role
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.domain.region import Region
from her2viewer.scoring.contract import DEVICES
from her2viewer.scoring.registry import DEVICE_SETTING
from her2viewer.slides.slide import Slide, SlideError

if TYPE_CHECKING:
    from her2viewer.cases.case import Case
    from her2viewer.domain.result import Result
    from her2viewer.guidelines.profiles import Profile
    from her2viewer.scoring.job import JobEvent, JobRequest
    from her2viewer.scoring.manifest import Manifest
    from her2viewer.scoring.runtime import LocalRuntime

_NOTABLE = 0.005
"""Part of an outline outside the slide from which it is worth a word."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json)
    try:
        return _score(options, output)
    except CommandError as error:
        return output.fail(error)
    except SlideError as error:
        return output.fail(CommandError(exit_codes.SLIDE_UNREADABLE, str(error)))
    except KeyboardInterrupt:
        return output.fail(CommandError(exit_codes.CANCELLED, "Cancelled. Nothing was written."))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer score",
        description="Score one slide without the window. Writes the case, a PDF report, JSON, GeoJSON and a table.",
        epilog="Exit codes: 0 scored, 2 wrong option or region, 3 slide unreadable, 4 not assessable, "
        "5 scorer failed, 6 cannot write, 130 cancelled.",
    )
    parser.add_argument("slide", nargs="?", type=Path, metavar="SLIDE")
    parser.add_argument("--sample", action="store_true", help="the bundled sample slide with its region")
    parser.add_argument("--roi", type=Path, metavar="FILE", help="GeoJSON with the outlines, for example from QuPath")
    parser.add_argument("--whole-slide", action="store_true", help="score everything, tumour or not")
    parser.add_argument(
        "--scorer", default="membrane", metavar="ID", help="see her2viewer scorers (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for what is written")
    parser.add_argument(
        "--mpp", type=float, metavar="X", help="pixel size in um, where the file has none or a wrong one"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the scorer; repeatable"
    )
    parser.add_argument("--profile", metavar="ID", help="guideline profile, see her2viewer scorers")
    parser.add_argument("--case-id", metavar="TEXT", help="printed on the report")
    parser.add_argument("--block", metavar="TEXT", help="block or specimen, printed on the report")
    parser.add_argument("--lab", metavar="TEXT", help="laboratory, printed on the report")
    parser.add_argument("--reader", metavar="TEXT", help="who reads this slide, printed on the report")
    parser.add_argument("--pattern", action="store_true", help="an unusual staining pattern was seen")
    parser.add_argument(
        "--control", choices=("ok", "failed"), help="how the control tissue stained, where somebody looked"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all)")
    parser.add_argument(
        "--device",
        choices=DEVICES,
        help="where networks run: gpu and npu are Intel's, mps is Apple's, auto (the default) takes the fastest",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    return parser


def _score(options: argparse.Namespace, output: Output) -> int:
    from her2viewer.commands.score_files import case_before, make_out_folder, write_all
    from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
    from her2viewer.scoring.calibration_file import with_calibration
    from her2viewer.scoring.contract import ScorerError
    from her2viewer.scoring.registry import find_scorer
    from her2viewer.scoring.runtime import LocalRuntime
    from her2viewer.slides.open import open_slide

    slide_path, roi = _inputs(options)
    try:
        manifest = find_scorer(options.scorer)
        pairs = [*options.set, *device_pair(options.device, manifest)]
        settings = manifest.complete(with_calibration(manifest, _settings(pairs, manifest)))
    except (ScorerError, ValueError) as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    profiles = load_profiles()
    profile_id = options.profile or DEFAULT_PROFILE
    if profile_id not in profiles:
        known = ", ".join(profiles)
        raise CommandError(exit_codes.USAGE, f"There is no guideline profile {profile_id!r}. There are: {known}.")
    if options.threads is not None and options.threads < 1:
        raise CommandError(exit_codes.USAGE, "--threads must be at least 1.")
    with open_slide(slide_path) as slide:
        size = _pixel_size(slide, options.mpp)
        annotations = _annotations(slide, slide_path, roi, options.whole_slide, output)
        # Before the work, not after it: a folder that cannot be written is found in the first second.
        make_out_folder(options.out)
        before = case_before(slide, options.out)
        request = _request(options, slide, size, annotations, settings)
        result = _run(request, slide, LocalRuntime(options.threads), output)
        scored = _decided(
            options,
            slide,
            size=size,
            annotations=annotations,
            manifest=manifest,
            result=result,
            profiles=profiles,
            profile_id=profile_id,
            before=before,
        )
        with output.aside().status("Writing the report"):
            written = write_all(scored, options.out)
    from her2viewer.commands.score_summary import show, summary

    facts = summary(scored, written)
    assessable = result.not_assessable is None
    code = exit_codes.OK if assessable else exit_codes.NOT_ASSESSABLE
    if options.json:
        output.machine({"ok": assessable, "exit_code": code, **facts})
    else:
        show(output, facts)
    return code


def _inputs(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Path of the slide and of the region."""
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


def _settings(pairs: Sequence[str], manifest: Manifest) -> dict[str, Any]:
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


def _pixel_size(slide: Slide, mpp: float | None) -> PixelSize:
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


def _annotations(slide: Slide, path: Path, roi: Path | None, whole_slide: bool, output: Output) -> AnnotationSet:
    """The outlines, with at least some region to score on the slide."""
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


def _request(
    options: argparse.Namespace,
    slide: Slide,
    size: PixelSize,
    annotations: AnnotationSet,
    settings: Mapping[str, Any],
) -> JobRequest:
    from her2viewer.scoring.job import JobRequest

    return JobRequest(
        scorer=options.scorer,
        slide_path=str(slide.path),
        slide_identity=slide.identity,
        pixel_size=size,
        region=annotations.region(),
        control=annotations.control_region(),
        settings=settings,
        threads=options.threads,
    )


def _run(
    request: JobRequest,
    slide: Slide,
    runtime: LocalRuntime,
    output: Output,
    watch: Callable[[JobEvent], None] = lambda event: None,
) -> Result:
    from her2viewer.commands.score_progress import ScoringProgress
    from her2viewer.scoring.contract import Cancelled, ScorerError
    from her2viewer.scoring.job import score_slide

    def told(event: JobEvent) -> None:
        progress.on_event(event)
        watch(event)

    try:
        # What a scorer prints is no result: stdout stays for the answer.
        with (
            redirect_stdout(sys.stderr),
            _cancelled_by_signal(runtime),
            ScoringProgress(output.aside()) as progress,
        ):
            return score_slide(request, slide, runtime, on_event=told)
    except Cancelled as error:
        raise CommandError(exit_codes.CANCELLED, "Cancelled. Nothing was written.") from error
    except ScorerError as error:
        raise CommandError(exit_codes.SCORER_FAILED, str(error)) from error
    except SlideError:
        raise
    except MemoryError as error:
        raise CommandError(
            exit_codes.SCORER_FAILED, "The memory of this machine was used up. Score a smaller region."
        ) from error
    except Exception as error:
        # A scorer is foreign code: whatever it raises is a sentence and an exit code, never a traceback.
        detail = f"{type(error).__name__}: {error}"
        raise CommandError(
            exit_codes.SCORER_FAILED,
            f"The scorer {request.scorer!r} broke down ({detail}). Nothing was written. Report this to its authors.",
        ) from error


@contextmanager
def _cancelled_by_signal(runtime: Any) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the scorer to stop; a second Ctrl-C ends the program at once."""

    def stop(number: int, frame: Any) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        runtime.cancel()

    kinds = [signal.SIGINT, signal.SIGTERM]
    try:
        before = [(kind, signal.signal(kind, stop)) for kind in kinds]
    except ValueError:
        # Not in the main thread, as in some tests and when called from another program.
        yield
        return
    try:
        yield
    finally:
        for kind, handler in before:
            signal.signal(kind, handler)


def _decided(
    options: argparse.Namespace,
    slide: Slide,
    *,
    size: PixelSize,
    annotations: AnnotationSet,
    manifest: Manifest,
    result: Result,
    profiles: Mapping[str, Profile],
    profile_id: str,
    before: Case,
) -> Scored:
    from her2viewer.guidelines.engine import decide_all, decide_result

    control = {"ok": True, "failed": False, None: None}[options.control]
    marks: dict[str, Any] = {
        "pattern_marked": options.pattern or before.pattern_marked,
        "marks": before.marks,
        "control_checked": before.control_checked if control is None else control,
    }
    profile = profiles[profile_id]
    given = {name: getattr(options, name) for name in CASE_FIELDS}
    return Scored(
        slide=slide,
        pixel_size=size,
        annotations=annotations,
        manifest=manifest,
        result=result,
        profile=profile,
        decision=decide_result(profile, result, **marks),
        others=decide_all(profiles, result, without=profile_id, **marks),
        marks=marks,
        before=before,
        fields={**before.fields, **{name: value for name, value in given.items() if value}},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
