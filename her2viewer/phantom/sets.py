"""Sets of phantoms for training, evaluation and calibration: varied tissue, scores, labs, scanners and patients."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from her2viewer.cases.atomic import atomic_text
from her2viewer.domain.classes import HER2_LABELS
from her2viewer.phantom.looks import lab, labs, scanner, scanners
from her2viewer.phantom.make import Phantom, make_phantom
from her2viewer.phantom.recipe import Artefacts, Recipe, RecipeError, read_recipe, recipe_names

MANIFEST = "SET.toml"
SIDES_PER_PATIENT = 2
"""Most slides of one patient."""
Shares = tuple[float, float, float, float]


@dataclass(frozen=True)
class Member:
    """One slide of a set before it is made."""

    id: str
    recipe: Recipe
    seed: int
    scanner: str
    lab: str
    patient: str


def plan_set(
    count: int,
    seed: int,
    *,
    recipes: Sequence[str] = (),
    scanner_names: Sequence[str] = (),
    lab_names: Sequence[str] = (),
    shares: Shares | None = None,
) -> list[Member]:
    """What the slides of a set shall be. The same arguments give the same set; a larger one begins alike.

    Scores go round (0, 1+, 2+, 3+), so each is as frequent as the others; every fifth slide is a borderline case with
    shares close to 10 %. A patient has one slide or two, from one lab.

    Raises:
        RecipeError: a name is unknown, or the count is not from 1 to 10,000.
    """
    if not 1 <= count <= 10_000:
        raise RecipeError(f"A set of {count} slides cannot be made; ask for 1 to 10000.")
    bases = [read_recipe(name) for name in (recipes or recipe_names())]
    all_scanners = [scanner(name).name for name in (scanner_names or list(scanners()))]
    all_labs = [lab(name).name for name in (lab_names or list(labs()))]
    members: list[Member] = []
    patient, left = 0, 0
    base, where = bases[0], all_labs[0]
    for k in range(count):
        rng = np.random.default_rng([seed, 31, k])
        if left == 0:
            patient += 1
            left = int(rng.integers(1, SIDES_PER_PATIENT + 1))
            base, where = bases[int(rng.integers(len(bases)))], all_labs[int(rng.integers(len(all_labs)))]
        left -= 1
        wanted = shares or _shares(rng, k)
        members.append(
            Member(
                id=f"phantom_{k + 1:04d}",
                recipe=_varied(base, rng, np.random.default_rng([seed, 37, k])).with_shares(wanted),
                seed=int(rng.integers(1, 2**31)),
                scanner=all_scanners[int(rng.integers(len(all_scanners)))],
                lab=where,
                patient=f"P{patient:04d}",
            )
        )
    return members


def make_set(
    folder: Path,
    members: Sequence[Member],
    size_um: tuple[float, float] | None,
    size_px: tuple[int, int] | None,
    *,
    stain: str = "ihc",
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write the slides with outlines and truth, and the manifest that names them all; returns the manifest.

    Slides that are there already are kept when their description is the same, so an interrupted set goes on.

    Raises:
        RecipeError: a size is out of range.
        StorageError, OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[str] = []
    for k, member in enumerate(members):
        if progress:
            progress(member.id, k, len(members))
        own = scanner(member.scanner)
        size = size_px or _pixels(size_um, own.mpp)
        note = folder / f"{member.id}.made.json"
        wish = json.dumps([repr(member), size, stain], sort_keys=True)
        made = _made(note, wish, folder)
        if made is None:
            phantom = make_phantom(
                folder / f"{member.id}.tif",
                member.recipe,
                member.seed,
                size,
                scanner=own,
                lab=lab(member.lab),
                stain=stain,
                workers=workers,
            )
            made = [_entry(member, phantom, own.mpp, index) for index in range(len(phantom.slides))]
            atomic_text(note, json.dumps({"wish": wish, "entries": made}))
        entries += made
    manifest = folder / MANIFEST
    head = f'format = "her2viewer-set"\nversion = 1\nname = {json.dumps(folder.resolve().name)}\n\n'
    head += '[split]\nby = "patient"\nvalidation = 0.2\ntest = 0.2\nseed = 1\n'
    atomic_text(manifest, head + "".join(entries))
    return manifest


def _made(note: Path, wish: str, folder: Path) -> list[str] | None:
    """Entries of a slide that is there already as it is wished for."""
    try:
        read = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(read, dict) or read.get("wish") != wish:
        return None
    entries = read.get("entries")
    names = [
        line.split('"')[1]
        for e in entries or ()
        for line in e.splitlines()
        if line.startswith(("slide", "truth", "roi"))
    ]
    return entries if names and all((folder / name).exists() for name in names) else None


def _pixels(size_um: tuple[float, float] | None, mpp: float) -> tuple[int, int]:
    width, height = size_um or (2000.0, 2000.0)
    return round(width / mpp), round(height / mpp)


def _entry(member: Member, phantom: Phantom, mpp: float, index: int) -> str:
    slide, truth = phantom.slides[index], phantom.truths[index]
    shares = ", ".join(f'"{label}" = {value:.4f}' for label, value in zip(HER2_LABELS, phantom.shares, strict=True))
    lines = [
        "\n[[slides]]",
        f'id = "{slide.stem}"',
        f'slide = "{slide.name}"',
        f'roi = "{phantom.outlines.name}"',
        f'truth = "{truth.name}"',
        f'score = "{phantom.score}"' if phantom.score in HER2_LABELS else "",
        # A small section may hold no tumour; then there is nothing to give shares of.
        f"shares = {{ {shares} }}" if sum(phantom.shares) > 0 else "",
        f"mpp = {mpp}",
        f'lab = "{member.lab}"',
        f'scanner = "{member.scanner}"',
        f'patient = "{member.patient}"',
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _shares(rng: np.random.Generator, k: int) -> Shares:
    """Shares for the k-th slide, whose score by the default guideline is k modulo 4."""
    score = k % 4
    if k % 5 == 4:
        near = float(rng.choice([8.0, 9.0, 11.0, 12.0]))
        one, two, three = (near if label == score else 0.0 for label in (1, 2, 3))
        if score == 0:
            one = 9.0
        if score >= 2:
            one = float(rng.uniform(5, 40))
        return (100.0 - one - two - three, one, two, three)
    one = float(rng.uniform(0, 9)) if score == 0 else float(rng.uniform(14, 70))
    two = three = 0.0
    if score == 1:
        two = float(rng.uniform(0, 6))
    if score == 2:
        two, one = float(rng.uniform(15, 70)), float(rng.uniform(5, 30))
        three = float(rng.choice([0.0, rng.uniform(0, 6)]))
    if score == 3:
        three = float(rng.uniform(15, 90))
        two = float(rng.uniform(0.2, 0.7)) * (100 - three)
        one = float(rng.uniform(0.1, 0.8)) * (100 - three - two)
    return (100.0 - one - two - three, one, two, three)


def _varied(base: Recipe, rng: np.random.Generator, rare: np.random.Generator) -> Recipe:
    """A recipe with its amounts moved about, and flaws drawn anew; ``rare`` draws what few tissues have."""

    def around(value: float, spread: float, high: float = 1.0, by: np.random.Generator = rng) -> float:
        return round(float(np.clip(value + by.normal(0, spread), 0, high)), 3)

    tissue, her2 = base.tissue, base.her2
    tissue = replace(
        tissue,
        grade=int(np.clip(tissue.grade + rng.integers(-1, 2), 1, 3)),
        coverage=max(0.3, around(tissue.coverage, 0.12, 2.0)),
        in_situ=around(tissue.in_situ, 0.15) if tissue.in_situ else 0.0,
        benign=around(tissue.benign, 0.15) if tissue.benign else 0.0,
        fat=around(tissue.fat, 0.12) if tissue.fat else 0.0,
        lymphocytes=around(tissue.lymphocytes, 0.15),
        necrosis=around(tissue.necrosis, 0.15),
        mucin=around(tissue.mucin, 0.15, by=rare) if tissue.mucin else 0.0,
        signet=around(tissue.signet, 0.2, by=rare) if tissue.signet else 0.0,
        cell_um=round(float(np.clip(tissue.cell_um + rng.normal(0, 0.8), 8, 13)), 2),
    )
    her2 = replace(
        her2,
        clusters=max(0.1, around(her2.clusters, 0.25, 2.0)),
        mosaic=max(0.1, around(her2.mosaic, 0.15, 2.0)),
        lateral=around(her2.lateral, 0.1),
        cytoplasm=max(0.3, around(her2.cytoplasm, 0.3, 3.0)),
        membrane=max(0.75, around(her2.membrane, 0.1, 1.3)),
    )
    flaws = Artefacts(
        folds=int(rng.random() < 0.3), pen=int(rng.random() < 0.15), dust=int(rng.integers(0, 5)),
        bubbles=int(rng.random() < 0.15), blur=int(rng.random() < 0.4),
    )  # fmt: skip
    return replace(base, tissue=tissue, her2=her2, artefacts=flaws)
