"""``her2viewer phantom FILE.tif``: slides with known truth, one at a time or as a set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2viewer.cases.atomic import StorageError, write_problem
from her2viewer.commands import exit_codes
from her2viewer.commands.output import CommandError, Output
from her2viewer.commands.progress import StageBar

if TYPE_CHECKING:
    from her2viewer.phantom.recipe import Recipe

SIZE = (8192, 8192)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    output = Output(options.json)
    from her2viewer.phantom.recipe import RecipeError

    try:
        if options.list:
            return _listing(output)
        if options.path is None:
            raise CommandError(
                exit_codes.USAGE, "Say where to write: a file that ends in .tif, or with --set a folder."
            )
        facts = _set(options, output) if options.set is not None else _one(options, output)
    except RecipeError as error:
        return output.fail(CommandError(exit_codes.USAGE, str(error)))
    except CommandError as error:
        return output.fail(error)
    except StorageError as error:
        return output.fail(CommandError(exit_codes.CANNOT_WRITE, str(error)))
    except OSError as error:
        return output.fail(CommandError(exit_codes.CANNOT_WRITE, write_problem(error, options.path)))
    if options.json:
        output.machine({"ok": True, **facts})
    return exit_codes.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="her2viewer phantom",
        description="Write a synthetic HER2 slide whose truth is known to the cell: FILE.tif, its outlines "
        "(FILE.geojson) and its truth (FILE.truth.h5). The same seed gives the same slide.",
    )
    parser.add_argument("path", nargs="?", type=Path, metavar="FILE.tif", help="slide to write; with --set a folder")
    parser.add_argument("--list", action="store_true", help="name the recipes, scanners and labs")
    parser.add_argument(
        "--recipe", action="append", metavar="NAME|FILE.toml", help="what the tissue is (default breast)"
    )
    parser.add_argument("--shares", metavar='"3+ 11, 2+ 9, 1+ 9"', help="per cent of the tumour cells; the rest is 0")
    parser.add_argument("--seed", type=int, default=1)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help=f"px (default {SIZE[0]} {SIZE[1]})")
    size.add_argument("--mm", type=float, nargs=2, metavar=("W", "H"), help="mm, in place of px")
    parser.add_argument("--stain", choices=("ihc", "he", "both"), default="ihc", help="both: a registered pair")
    parser.add_argument("--scanner", action="append", metavar="NAME", help="default white; with --set all")
    parser.add_argument("--lab", action="append", metavar="NAME", help="default A; with --set all")
    parser.add_argument("--set", type=int, metavar="N", help="write N varied slides and a SET.toml into a folder")
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each core, up to 8)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _listing(output: Output) -> int:
    from her2viewer.phantom.looks import labs, scanners
    from her2viewer.phantom.recipe import recipe_names

    names = {"recipes": recipe_names(), "scanners": list(scanners()), "labs": list(labs())}
    if output.as_json:
        output.machine({"ok": True, **names})
    else:
        for what, found in names.items():
            output.people().print(f"{what:<10}{', '.join(found)}")
    return exit_codes.OK


def _checked(options: argparse.Namespace) -> None:
    if options.workers is not None and options.workers < 1:
        raise CommandError(exit_codes.USAGE, f"--workers must be at least 1, not {options.workers}.")
    if options.seed < 0:
        raise CommandError(exit_codes.USAGE, f"--seed must be 0 or more, not {options.seed}.")


def _one(options: argparse.Namespace, output: Output) -> dict[str, Any]:
    from her2viewer.phantom.looks import lab, scanner
    from her2viewer.phantom.make import make_phantom
    from her2viewer.phantom.recipe import parse_shares, read_recipe

    _checked(options)
    if options.path.suffix.lower() not in (".tif", ".tiff"):
        raise CommandError(
            exit_codes.USAGE, f"A phantom is written as TIFF: give a name that ends in .tif, not {options.path.name}."
        )
    recipe: Recipe = read_recipe(_single(options.recipe, "breast", "--recipe"))
    if options.shares:
        recipe = recipe.with_shares(parse_shares(options.shares))
    own = scanner(_single(options.scanner, "white", "--scanner"))
    stain_lab = lab(_single(options.lab, "A", "--lab"))
    size = _size(options, own.mpp)
    with _Bar(output.aside()) as bar:
        made = make_phantom(
            options.path,
            recipe,
            options.seed,
            size,
            scanner=own,
            lab=stain_lab,
            stain=options.stain,
            workers=options.workers,
            progress=bar,
        )
    if not output.as_json:
        names = ", ".join(path.name for path in (*made.slides, made.outlines, *made.truths))
        shares = ", ".join(
            f"{label} {share:.2f} %" for label, share in zip(("0", "1+", "2+", "3+"), made.shares, strict=True)
        )
        output.people().print(f"{names}: score {made.score or 'none'}; {shares} of the tumour cells in the region")
    return {
        "slides": [str(p) for p in made.slides],
        "outlines": str(made.outlines),
        "truths": [str(p) for p in made.truths],
        "score": made.score,
        "shares": list(made.shares),
    }


def _set(options: argparse.Namespace, output: Output) -> dict[str, Any]:
    from her2viewer.phantom.recipe import parse_shares
    from her2viewer.phantom.sets import make_set, plan_set

    _checked(options)
    if options.path.suffix.lower() in (".tif", ".tiff"):
        raise CommandError(
            exit_codes.USAGE, f"With --set a folder is written; {options.path.name} is the name of a slide."
        )
    members = plan_set(
        options.set,
        options.seed,
        recipes=options.recipe or (),
        scanner_names=options.scanner or (),
        lab_names=options.lab or (),
        shares=parse_shares(options.shares) if options.shares else None,
    )
    size_um = (options.mm[0] * 1000, options.mm[1] * 1000) if options.mm else None
    size_px = (options.size[0], options.size[1]) if options.size else None
    with _Bar(output.aside()) as bar:
        manifest = make_set(
            options.path, members, size_um, size_px, stain=options.stain, workers=options.workers, progress=bar
        )
    if not output.as_json:
        output.people().print(f"{len(members)} slides, described in {manifest}")
    return {"manifest": str(manifest), "slides": len(members)}


def _single(values: list[str] | None, default: str, option: str) -> str:
    if values and len(values) > 1:
        raise CommandError(exit_codes.USAGE, f"{option} can be given once for one slide; several need --set.")
    return values[0] if values else default


def _size(options: argparse.Namespace, mpp: float) -> tuple[int, int]:
    if options.mm:
        return round(options.mm[0] * 1000 / mpp), round(options.mm[1] * 1000 / mpp)
    return (options.size[0], options.size[1]) if options.size else SIZE


class _Bar(StageBar):
    """Progress on stderr; can be called as (what, done, total)."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.show(what, done, total)
