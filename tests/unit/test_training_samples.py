"""What a network is shown: labels of cells, cut samples, augmentation in stain space, and the draw of an epoch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from her2viewer.resources import resource_path
from her2viewer.training.augment import Stained, augmented, centred, network_input
from her2viewer.training.confusion import counted, f1, figures
from her2viewer.training.dataset import SlideEntry
from her2viewer.training.recipe import StainJitter, TrainingError
from her2viewer.training.recipes import find_recipe
from her2viewer.training.samplers import CellSampler, PatchSampler
from her2viewer.training.sources import SlideSource
from her2viewer.training.tiles import extract, tile_key
from her2viewer.training.truth import read_cells

STILL = StainJitter(0, 0, 0, 0, 0, 0, 0, 0, turns=False)
GLASS = np.array([[243.0, 240.0, 244.0]], np.float32)
VECTORS = np.array([[[0.66, 0.61, 0.44], [0.22, 0.48, 0.85]]], np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=2, keepdims=True)


def drawn(haematoxylin: float, dab: float, side: int = 24) -> Stained:
    """A uniformly stained sample."""
    density = haematoxylin * VECTORS[0, 0] + dab * VECTORS[0, 1]
    colour = np.rint(GLASS[0] * 10.0**-density).astype(np.uint8)
    return Stained(np.tile(colour, (1, side, side, 1)), GLASS, VECTORS)


def sample_entry(**more: object) -> SlideEntry:
    slide = resource_path("sample", "sample_her2.tif")
    return replace(SlideEntry("sample", slide, slide.with_suffix(".geojson")), **more)


def sample_cells(path: Path) -> Path:
    """The known cells of the bundled sample as a table."""
    cells = json.loads(resource_path("sample", "sample_her2.truth.json").read_text(encoding="utf-8"))["cells"]
    kinds = cells["kinds"]
    lines = ["x,y,class"]
    for x, y, her2, kind in zip(cells["x"], cells["y"], cells["her2"], cells["kind"], strict=True):
        label = ("0", "1+", "2+", "3+")[her2]
        lines.append(f"{x},{y},{f'Tumor: {label}' if kinds[kind] == 'invasive' else kinds[kind]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_without_jitter_a_sample_comes_back_as_it_was() -> None:
    samples = drawn(0.3, 0.4)
    out, _ = augmented(samples, STILL, [(1, 2, 3)], pixels=24)
    assert np.abs(out.rgb.astype(int) - samples.rgb).max() <= 1
    np.testing.assert_allclose(out.vectors, VECTORS, atol=1e-6)


def test_dab_grows_by_its_factor_and_haematoxylin_stays() -> None:
    recipe = replace(find_recipe("cells", None), scale=(1.0, 1.0))
    before = network_input(drawn(0.3, 0.4), recipe).mean(axis=(0, 2, 3))
    jitter = replace(STILL, dab=0.2)
    ratios = []
    for k in range(40):
        out, _ = augmented(drawn(0.3, 0.4), jitter, [(1, 0, k)], pixels=24)
        haematoxylin, dab = network_input(out, recipe).mean(axis=(0, 2, 3))
        assert haematoxylin == pytest.approx(before[0], abs=0.03)
        ratios.append(np.log(dab / before[1]))
    assert np.std(ratios) == pytest.approx(0.2, rel=0.35)


def test_other_glass_and_vectors_leave_the_amounts_of_stain_that_are_unmixed_with_them() -> None:
    recipe = replace(find_recipe("cells", None), scale=(1.0, 1.0))
    before = network_input(drawn(0.3, 0.4), recipe).mean(axis=(0, 2, 3))
    jitter = replace(STILL, vectors=0.05, background=10)
    colours = []
    for k in range(20):
        out, _ = augmented(drawn(0.3, 0.4), jitter, [(1, 0, k)], pixels=24)
        colours.append(out.rgb.mean(axis=(0, 1, 2)))
        np.testing.assert_allclose(network_input(out, recipe).mean(axis=(0, 2, 3)), before, atol=0.02)
    assert np.std(colours, axis=0).min() > 2


def test_a_sample_is_varied_by_its_own_seed_and_not_by_its_batch() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(60, 240, (3, 28, 28, 3)).astype(np.uint8)
    three = Stained(rgb, np.repeat(GLASS, 3, 0), np.repeat(VECTORS, 3, 0))
    seeds = [(1, 4, k) for k in range(3)]
    together, _ = augmented(three, StainJitter(), seeds, pixels=24)
    alone, _ = augmented(Stained(rgb[1:2], GLASS, VECTORS), StainJitter(), seeds[1:2], pixels=24)
    np.testing.assert_array_equal(together.rgb[1], alone.rgb[0])
    other, _ = augmented(Stained(rgb[1:2], GLASS, VECTORS), StainJitter(), [(1, 5, 1)], pixels=24)
    assert (other.rgb[0] != alone.rgb[0]).mean() > 0.5


def test_a_mask_is_turned_and_shifted_with_its_sample() -> None:
    rng = np.random.default_rng(1)
    rgb = np.full((1, 28, 28, 3), 200, np.uint8)
    mask = (rng.random((1, 28, 28)) < 0.5).astype(np.uint8)
    rgb[mask > 0] = 120
    for k in range(12):
        out, turned = augmented(
            Stained(rgb, GLASS, VECTORS), replace(STILL, turns=True), [(1, 0, k)], pixels=24, masks=mask
        )
        assert turned is not None
        np.testing.assert_array_equal(turned[0] > 0, out.rgb[0, ..., 0] < 160)


def test_the_middle_of_a_sample_is_taken_for_measuring() -> None:
    rgb = np.zeros((1, 10, 10, 3), np.uint8)
    rgb[0, 3:7, 3:7] = 9
    assert (centred(Stained(rgb, GLASS, VECTORS), 4).rgb == 9).all()


def test_cells_of_a_table_and_of_geojson_are_the_same(tmp_path: Path) -> None:
    table = sample_cells(tmp_path / "cells.csv")
    rows = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [float(x), float(y)]},
            "properties": {"objectType": "detection", "classification": {"name": name}},
        }
        for x, y, name in rows
    ]
    (tmp_path / "cells.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    one, two = read_cells(None, table), read_cells(None, tmp_path / "cells.geojson")
    assert one is not None
    assert two is not None
    assert len(one.x) == len(rows) > 2000
    np.testing.assert_allclose(one.x, two.x)
    assert [one.names[k] for k in one.name] == [two.names[k] for k in two.name]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "has no column x"),
        ("x,y,class\n1,2\n", "every row needs x, y, class"),
        ("x,y,class\n1,two,0\n", "every row needs x, y, class"),
    ],
)
def test_a_table_that_holds_no_cells_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match=sentence):
        read_cells(None, path)


def test_cells_are_sampled_by_class_inside_the_region_only(tmp_path: Path) -> None:
    cells = sample_cells(tmp_path / "cells.csv")
    sampler = CellSampler({"tumor: 0": 0, "tumor: 3+": 1}, limit=50)
    with SlideSource(sample_entry(cells=cells)) as source:
        spots = sampler.spots(source, 80)
        assert source.region.contains_points(spots.x, spots.y).all()
    assert np.bincount(spots.label).tolist() == [50, 50]


def test_patches_weigh_by_the_tumour_in_them_and_their_masks_agree() -> None:
    sampler = PatchSampler(masks="tumour")
    with SlideSource(sample_entry()) as source:
        spots = sampler.spots(source, 256)
        assert len(spots) > 20
        assert spots.weight.min() > 0.1
        area = spots.weight.sum() * 256**2
        assert area == pytest.approx(source.region.area_px, rel=0.1)
        shares = []
        for x, y in zip(spots.x, spots.y, strict=True):
            mask = sampler.mask(source, (x - 128, y - 128, 256), 32)
            assert mask is not None
            shares.append(mask.mean())
    # Weights are counted on 8 x 8 points: each edge that crosses a patch may be off by a sixteenth.
    off = np.abs(np.array(shares) - spots.weight)
    assert off.max() < 3 / 16
    assert off.mean() < 0.03


def test_without_an_outline_patches_lie_on_tissue_and_not_on_glass() -> None:
    with SlideSource(sample_entry(roi=None)) as source:
        spots = PatchSampler(least_tumour=0.5).spots(source, 256)
        side = source.slide.read_at(16, 0, 0, source.slide.width // 16, source.slide.height // 16)
        grey = np.array([side[int(y) // 16 - 7 : int(y) // 16 + 7, int(x) // 16 - 7 : int(x) // 16 + 7].mean()
                         for x, y in zip(spots.x, spots.y, strict=True)])  # fmt: skip
        everywhere = source.slide.width * source.slide.height / 256**2
        glass = source.slide.read(0, 60, 60, 300, 300).mean()
    assert 20 < len(spots) < 0.9 * everywhere
    assert grey.max() < glass - 3


def test_samples_show_their_cells_and_are_kept_by_content(tmp_path: Path) -> None:
    import h5py

    recipe = find_recipe("cells", None)
    cells = sample_cells(tmp_path / "cells.csv")
    entry = sample_entry(cells=cells, split="train")
    assert tile_key(entry, recipe.cut) == tile_key(replace(entry, id="other", score="3+"), recipe.cut)
    assert tile_key(entry, recipe.cut) != tile_key(replace(entry, mpp=0.3), recipe.cut)

    from her2viewer.training.dataset import DataSet, SplitRule

    found = extract(DataSet("x", cells, (entry,), SplitRule()), recipe, tmp_path / "out", check=lambda: None)
    with h5py.File(found[0].path) as file, SlideSource(entry) as source:
        assert len(file["rgb"]) == found[0].count > 1000
        assert file["rgb"].shape[1:] == (52, 52, 3)
        rng = np.random.default_rng(2)
        downsample = recipe.cut.mpp / source.pixel_size.mpp
        for k in rng.integers(0, len(file["rgb"]), 20):
            half = 26 * downsample
            direct = source.slide.read_at(downsample, file["x"][k] - half, file["y"][k] - half, 52, 52)
            # Blocks begin at whole pixels of their own, so a sample may lie half a pixel aside.
            difference = np.abs(direct.astype(int) - file["rgb"][k]).mean()
            assert difference < 12
        brown = [file["rgb"][...][file["label"][...] == c][:, 20:32, 20:32].mean() for c in (3, 6)]
    assert brown[1] < brown[0] - 10


def test_figures_of_a_confusion_matrix_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 500)
    said = np.where(rng.random(500) < 0.6, truth, rng.integers(0, 4, 500))
    found = figures(counted(truth, said, 4))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, said))
    np.testing.assert_allclose(f1(counted(truth, said, 4)), metrics.f1_score(truth, said, average=None))


def test_cellnet_has_the_parameters_that_the_paper_prints() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from her2viewer_cells.network import PARAMETERS, CellNet

    network = CellNet()
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS == 466_283
    assert network(torch.zeros(3, 2, 44, 44)).shape == (3, 8)
    assert network.features(torch.zeros(1, 2, 44, 44)).shape == (1, 25, 6, 6)


def test_an_epoch_draws_all_classes_equally_and_every_cell_of_a_rare_one(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from her2viewer.training.batches import drawn as epoch
    from her2viewer.training.dataset import DataSet, SplitRule
    from her2viewer.training.tiles import TileStore

    recipe = find_recipe("cells", None)
    entry = sample_entry(cells=sample_cells(tmp_path / "cells.csv"), split="train")
    tiles = extract(DataSet("x", entry.slide, (entry,), SplitRule()), recipe, tmp_path / "out", check=lambda: None)
    store = TileStore(tiles, recipe, memory=0)
    in_memory = TileStore(tiles, recipe, memory=1 << 30)
    some = np.array([5, 2, 900, 2])
    np.testing.assert_array_equal(store.pixels(some), in_memory.pixels(some))
    stage = replace(recipe.stages[0], samples=800)
    choice = epoch(store, recipe, stage, 1, 0)
    assert np.ptp(np.bincount(choice.targets)[3:]) <= 1
    rare = np.flatnonzero(store.table.label == 6)
    assert set(rare) <= set(choice.indices)
    assert (epoch(store, recipe, stage, 1, 1).indices != choice.indices).any()
    np.testing.assert_array_equal(epoch(store, recipe, stage, 1, 0).indices, choice.indices)


def test_recipes_are_listed_without_torch() -> None:
    code = (
        "import sys; from her2viewer import cli; cli.main(['train', '--list', '--json']); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert '"recipe": "cellnet"' in done.stdout
    assert done.stdout.strip().endswith("False")
