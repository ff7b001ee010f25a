"""Make the pictures of docs/phantom.md: ``python packaging/phantom_pictures.py docs/phantom``. Phantoms only."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np

from her2viewer.phantom.looks import lab, scanner
from her2viewer.phantom.make import make_phantom
from her2viewer.phantom.recipe import Recipe, parse_shares, read_recipe
from her2viewer.phantom.rendering import Renderer
from her2viewer.phantom.slide_plan import SlidePlan
from her2viewer.phantom.survey import LEGEND, survey
from her2viewer.slides.open import open_slide

SIZE = (640, 420)
MAGNIFICATIONS = {"5x": 2.0, "10x": 1.0, "20x": 0.5, "40x": 0.25}
"""um per px of the crops."""


def crops(folder: Path, name: str, slide_path: Path, middle: tuple[float, float], only: tuple[str, ...] = ()) -> None:
    """Crops of a slide around one place, as ``NAME_5x.jpg`` and so on."""
    with open_slide(slide_path) as slide:
        for label, mpp in MAGNIFICATIONS.items():
            if only and label not in only:
                continue
            own = slide.pixel_size.mpp if slide.pixel_size else 0.25
            w, h = (round(n * mpp / own) for n in SIZE)
            w, h = min(w, slide.width), min(h, slide.height)
            x = int(np.clip(middle[0] - w / 2, 0, slide.width - w))
            y = int(np.clip(middle[1] - h / 2, 0, slide.height - h))
            image = cv2.resize(slide.read(0, x, y, w, h), SIZE, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / f"{name}_{label}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])


def richest(truth: Path, kind: str, side_um: float) -> tuple[float, float]:
    """Middle of the square that holds most of one compartment, level-0 px."""
    with h5py.File(truth) as file:
        mask = file["masks/tissue"]
        step, mpp = int(mask.attrs["step"]), float(file.attrs["mpp"])
        codes, quality = mask[:], file["masks/quality"][:]
    wanted = ((codes == LEGEND.index(kind)) & (quality == 0)).astype(np.float32)
    side = max(3, round(side_um / (step * mpp)) | 1)
    share = cv2.blur(wanted, (side, side), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(share.argmax()), share.shape)
    return (column + 0.5) * step, (row + 0.5) * step


def benign(folder: Path) -> None:
    """A benign lobule at 20x: from the first seed whose section holds a large one."""
    recipe = read_recipe("breast")
    recipe = replace(recipe, tissue=replace(recipe.tissue, benign=1.0, in_situ=0.0, coverage=0.3, fat=0.1))
    for seed in range(1, 40):
        plan = SlidePlan(recipe, seed, (6000, 6000), scanner=scanner("lilac"), lab=lab("A"))
        truth = survey(plan)
        share = cv2.blur((truth.tissue == LEGEND.index("benign")).astype(np.float32), (61, 61))
        if share.max() > 0.2:
            row, column = np.unravel_index(int(share.argmax()), share.shape)
            w, h = (2 * n for n in SIZE)
            x, y = (int(np.clip((k + 0.5) * truth.step - n / 2, 0, 6000 - n)) for k, n in ((column, w), (row, h)))
            image = cv2.resize(Renderer(plan, "ihc").region(x, y, w, h), SIZE, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / "breast_benign_20x.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
            return


def main() -> None:
    """Read the command line, make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    benign(options.folder)
    jobs: list[tuple[str, Recipe, str, str, str, str]] = [
        (
            "breast",
            read_recipe("breast").with_shares(parse_shares("3+ 20, 2+ 30, 1+ 25")),
            "lilac",
            "A",
            "both",
            "invasive",
        ),
        ("gastric", read_recipe("gastric"), "lilac", "A", "ihc", "invasive"),
        ("lobular", read_recipe("lobular").with_shares(parse_shares("2+ 40, 1+ 30")), "grey", "D", "ihc", "invasive"),
    ]
    # Enough carcinoma in situ that a picture of it is sure.
    breast = jobs[0][1]
    jobs[0] = ("breast", replace(breast, tissue=replace(breast.tissue, in_situ=1.0)), *jobs[0][2:])
    with tempfile.TemporaryDirectory() as temporary:
        for name, recipe, glass, stains, stain, kind in jobs:
            path = Path(temporary) / f"{name}.tif"
            look = {"scanner": scanner(glass), "lab": lab(stains)}
            made = make_phantom(path, recipe, 23, (5600, 5600), stain=stain, **look)  # type: ignore[arg-type]
            place = richest(made.truths[0], kind, 150.0)
            for slide in made.slides:
                few = () if slide.stem in ("breast_ihc", "gastric") else ("20x",)
                crops(options.folder, slide.stem, slide, place, few)
            if name == "breast":
                for other in ("in_situ", "control"):
                    crops(
                        options.folder,
                        f"breast_{other}",
                        made.slides[0],
                        richest(made.truths[0], other, 150.0),
                        ("20x",),
                    )


if __name__ == "__main__":
    main()
