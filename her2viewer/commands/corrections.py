"""``her2viewer corrections``: cells that readers corrected in the window, as a data set to train on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output

if TYPE_CHECKING:
    from her2viewer.cases.store import CaseStore
    from her2viewer.training.corrected_set import CorrectedSlide, WrittenSet


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="her2viewer corrections",
        description="Write the cells that readers corrected in the window as a data set for her2viewer train. "
        "Slides that the set in DIR holds already are renewed, others are added.",
        epilog="Exit codes: 0 written, 2 nothing to write or a wrong option, 3 slide unreadable, 6 cannot write.",
    )
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="slide, or its .her2case folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--whole-regions",
        action="store_true",
        help="also the cells that the reader left as they were, in regions in which something was corrected",
    )
    parser.add_argument("--scorer", metavar="ID", help="whose cells (default: the scorer chosen last)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else")
    options = parser.parse_args(argv)
    output = Output(options.json)
    try:
        written = [_write(path, options) for path in options.cases]
    except CommandError as error:
        return output.fail(error)
    if output.as_json:
        output.machine({"ok": True, "slides": [asdict(w) for w in written]})
        return exit_codes.OK
    console = output.people()
    for one in written:
        counts = ", ".join(f"{name}: {count:,}" for name, count in sorted(one.by_class.items()))
        console.print(f"{one.id}: {sum(one.by_class.values()):,} cells ({counts})", markup=False)
        if one.outside:
            console.print(f"  {one.outside:,} corrected cells outside the outlines were left out", markup=False)
    console.print(f"Data set: {written[-1].manifest}, slides: {written[-1].slides}", markup=False)
    console.print(f"Next: her2viewer train cells --data {written[-1].manifest}", markup=False)
    return exit_codes.OK


def _write(path: Path, options: argparse.Namespace) -> WrittenSet:
    from her2viewer.cases.atomic import StorageError
    from her2viewer.training.corrected_set import write_corrected_set
    from her2viewer.training.dataset import DataSetError

    slide = corrected_slide(path, options.scorer, with_cells=options.whole_regions)
    if options.whole_regions and slide.table is None:
        raise CommandError(
            exit_codes.USAGE,
            f"The case of {slide.path.name} holds no cells of a scorer; run one, or write without --whole-regions.",
        )
    try:
        return write_corrected_set(options.out, slide, whole_regions=options.whole_regions)
    except DataSetError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    except StorageError as error:
        raise CommandError(exit_codes.CANNOT_WRITE, str(error)) from error


def corrected_slide(path: Path, scorer: str | None, *, with_cells: bool) -> CorrectedSlide:
    """What the case of a slide says of its cells.

    Args:
        path: the slide, or the folder of its case.
        scorer: whose cells; None for the scorer chosen last.
        with_cells: whether the scorer's cells are asked for; without them they are taken where they are there.

    Raises:
        CommandError: there is no such slide or case, or it cannot be read.
    """
    from her2viewer.cases.case import CaseError
    from her2viewer.cases.places import existing_case
    from her2viewer.cases.store import CaseStore
    from her2viewer.domain.evidence import CellTable
    from her2viewer.scoring.corrected_cells import corrected_cells
    from her2viewer.slides.open import open_slide
    from her2viewer.slides.slide import SlideError
    from her2viewer.training.corrected_set import CorrectedSlide

    file = _slide_of(path)
    try:
        slide = open_slide(file)
    except SlideError as error:
        raise CommandError(exit_codes.SLIDE_UNREADABLE, str(error)) from error
    try:
        if existing_case(file, slide.identity) is None:
            raise CommandError(exit_codes.USAGE, f"{file.name} has no case: correct cells of it in the window first.")
        store = CaseStore.for_slide(file, slide.identity)
        case, corrections = store.load(), store.load_cell_corrections()
        size = case.pixel_size or slide.pixel_size
        if size is None:
            raise CommandError(exit_codes.USAGE, f"The pixel size of {file.name} is unknown; enter it in the window.")
        found = _result_of(store, scorer or case.scorer, required=with_cells or scorer is not None)
        tables = corrected_cells(found, corrections, size)
        table = next((t for t in tables if isinstance(t, CellTable) and t.scheme.counted), None)
        return CorrectedSlide(
            file, slide.identity, size, store.load_annotations(), corrections, table, dict(case.fields)
        )
    except CaseError as error:
        raise CommandError(exit_codes.USAGE, str(error)) from error
    finally:
        slide.close()


def _result_of(store: CaseStore, scorer: str, *, required: bool) -> tuple:  # type: ignore[type-arg]
    result = store.load_result(scorer) if scorer else None
    if result is None and required:
        known = ", ".join(store.scorers()) or "none"
        raise CommandError(
            exit_codes.USAGE, f"The case holds no result of {scorer or 'a scorer'} (there is: {known}); see --scorer."
        )
    return () if result is None else result.evidence


def _slide_of(path: Path) -> Path:
    """The slide file that is named, or that a case folder belongs to."""
    from her2viewer.cases.places import SUFFIX

    if not path.exists():
        raise CommandError(exit_codes.USAGE, f"There is no slide or case {path}.")
    if not (path / "case.json").is_file():
        return path
    import json

    beside = path.with_name(path.name.removesuffix(SUFFIX))
    if path.name.endswith(SUFFIX) and beside.exists():
        return beside
    try:
        named = Path(json.loads((path / "case.json").read_text(encoding="utf-8"))["slide"]["path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(exit_codes.USAGE, f"{path / 'case.json'} is damaged; name the slide instead.") from error
    if not named.exists():
        raise CommandError(exit_codes.USAGE, f"The slide of this case is no longer at {named}; name the slide.")
    return named
