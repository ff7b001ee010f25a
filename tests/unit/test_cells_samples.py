"""Samples of the cells recipe: cells where the detection finds them, artefacts where it finds what is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from her2viewer_cells.classes import CLASSES
from her2viewer_cells.recipes import CELLNET
from her2viewer_cells.samples import FoundCells

from her2viewer.training.dataset import read_data_set
from her2viewer.training.sources import SlideSource
from tests.helpers.drawn_tissue import UM, Drawn, draw_cells

OFF = 3.0
"""px by which the truth is beside the nuclei."""
ARTEFACT = CLASSES.index("artefact")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw_cells((0.4, 0.3, 0.2, 0.1), (900, 900), seed=3)


@pytest.fixture
def known(drawn: Drawn) -> np.ndarray:
    """All cells but those in a square in the middle."""
    return ~((np.abs(drawn.x - 450) < 100) & (np.abs(drawn.y - 450) < 100))


@pytest.fixture
def manifest(tmp_path: Path, drawn: Drawn, known: np.ndarray) -> Path:
    tifffile.imwrite(tmp_path / "a.tif", drawn.rgb, photometric="rgb", tile=(256, 256))
    with h5py.File(tmp_path / "a.truth.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = "her2viewer-truth", 1
        cells = file.create_group("cells")
        cells.attrs["kinds"] = json.dumps(["none", "invasive"])
        cells["x"], cells["y"] = drawn.x[known] + OFF, drawn.y[known]
        cells["kind"], cells["her2"] = np.ones(known.sum(), np.uint8), drawn.classes[known].astype(np.uint8)
        for name, legend in (("tissue", {"0": "glass", "1": "stroma"}), ("quality", {"1": "blur"})):
            mask = file.create_dataset(f"masks/{name}", data=np.full((100, 100), name == "tissue", np.uint8))
            mask.attrs["step"], mask.attrs["legend"] = 9, json.dumps(legend)
    path = tmp_path / "SET.toml"
    path.write_text(
        'format = "her2viewer-set"\nversion = 1\nname = "one"\n[[slides]]\nid = "a"\nslide = "a.tif"\nscore = "1+"\n'
        f'mpp = {UM}\ntruth = "a.truth.h5"\n',
        encoding="utf-8",
    )
    return path


def sampler(**changes: object) -> FoundCells:
    chosen = CELLNET.cut.sampler
    assert isinstance(chosen, FoundCells)
    return replace(chosen, debris_share=0.0, **changes)  # type: ignore[arg-type]


def test_cells_are_cut_where_they_are_found_and_what_is_found_in_vain_is_an_artefact(
    manifest: Path, drawn: Drawn, known: np.ndarray
) -> None:
    with SlideSource(read_data_set(manifest).slides[0]) as source:
        spots = sampler(vain_share=1.0).spots(source, 26.0)
        few = sampler().spots(source, 26.0)
    cells = spots.label != ARTEFACT
    assert cells.sum() == known.sum()
    assert (few.label == ARTEFACT).sum() == round(sampler().vain_share * known.sum())
    assert (spots.label[cells] == 3 + drawn.classes[known]).all()
    # On the nucleus that was drawn, not where the truth has it.
    away = np.hypot(spots.x[cells] - drawn.x[known], spots.y[cells] - drawn.y[known])
    assert np.median(away) < OFF / 3
    hidden = np.stack([drawn.x[~known], drawn.y[~known]], axis=1)
    vain = np.stack([spots.x[~cells], spots.y[~cells]], axis=1)
    assert len(vain) == pytest.approx(len(hidden), abs=3)
    nearest = np.hypot(*(vain[:, None] - hidden[None]).transpose(2, 0, 1)).min(axis=1)
    assert (nearest < 3 / UM).mean() > 0.9


def test_there_are_no_more_artefacts_than_wanted(manifest: Path) -> None:
    with SlideSource(read_data_set(manifest).slides[0]) as source:
        spots = sampler(vain_share=0.02).spots(source, 26.0)
    assert (spots.label == ARTEFACT).sum() == round(0.02 * (spots.label != ARTEFACT).sum())


def test_samples_are_cut_anew_when_cells_are_found_otherwise() -> None:
    usual = sampler()
    other = replace(usual, detection=replace(usual.detection, contrast=0.02))
    assert usual.key() != other.key()
    assert json.dumps(usual.key()) == json.dumps(sampler().key())
