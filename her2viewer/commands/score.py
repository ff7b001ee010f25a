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
from her2viewer.commands.score_inputs import device_pair, outlines_of, pixel_size_of, settings_of, slide_and_roi
from her2viewer.commands.scored import CASE_FIELDS, Scored
from her2viewer.domain.annotation import AnnotationSet
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.scoring.contract import DEVICES
from her2viewer.slides.slide import Slide, SlideError

if TYPE_CHECKING:
    from her2viewer.cases.case import Case
    from her2viewer.commands.score_corrected import Corrected
    from her2viewer.domain.result import Result
    from her2viewer.guidelines.profiles import Profile
    from her2viewer.scoring.job import JobEvent, JobRequest
    from her2viewer.scoring.manifest import Manifest
    from her2viewer.scoring.runtime import LocalRuntime


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
    from her2viewer.commands.score_corrected import corrected
    from her2viewer.commands.score_files import case_before, corrections_elsewhere, make_out_folder, write_all
    from her2viewer.guidelines.profiles import DEFAULT_PROFILE, load_profiles
    from her2viewer.scoring.calibration_file import with_calibration
    from her2viewer.scoring.contract import ScorerError
    from her2viewer.scoring.registry import find_scorer
    from her2viewer.scoring.runtime import LocalRuntime
    from her2viewer.slides.open import open_slide

    slide_path, roi = slide_and_roi(options)
    try:
        manifest = find_scorer(options.scorer)
        pairs = [*options.set, *device_pair(options.device, manifest)]
        settings = manifest.complete(with_calibration(manifest, settings_of(pairs, manifest)))
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
        size = pixel_size_of(slide, options.mpp)
        annotations = outlines_of(slide, slide_path, roi, options.whole_slide, output)
        # Before the work, not after it: a folder that cannot be written is found in the first second.
        make_out_folder(options.out)
        before, word = case_before(slide, options.out)
        elsewhere = corrections_elsewhere(slide, options.out)
        request = _request(options, slide, size, annotations, settings)
        result = _run(request, slide, LocalRuntime(options.threads), output)
        scored = _decided(
            options,
            slide,
            size=size,
            annotations=annotations,
            manifest=manifest,
            found=result,
            corrected=corrected(result, word, request.region, manifest.counts, size),
            profiles=profiles,
            profile_id=profile_id,
            before=before,
        )
        with output.aside().status("Writing the report"):
            written = write_all(scored, options.out)
    from her2viewer.commands.score_summary import show, summary

    facts = summary(scored, written, elsewhere)
    assessable = result.not_assessable is None
    code = exit_codes.OK if assessable else exit_codes.NOT_ASSESSABLE
    if options.json:
        output.machine({"ok": assessable, "exit_code": code, **facts})
    else:
        show(output, facts)
    return code


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
    found: Result,
    corrected: Corrected,
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
        found=found,
        corrected=corrected,
        profile=profile,
        decision=decide_result(profile, corrected.result, **marks),
        others=decide_all(profiles, corrected.result, without=profile_id, **marks),
        marks=marks,
        before=before,
        fields={**before.fields, **{name: value for name, value in given.items() if value}},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
