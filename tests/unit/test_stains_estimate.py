"""Estimates of a whole slide: where the glass is taken from, what is sampled, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from her2viewer.domain.region import Region
from her2viewer.slides.slide import SlideError, TileError
from her2viewer.stains.compiled import use_writable_cache
from her2viewer.stains.estimate import Entered, StainEstimate, estimate_stains
from her2viewer.stains.kind import StainKind
from her2viewer.stains.vectors import HAEMATOXYLIN, angle
from tests.helpers.array_slide import ArraySlide
from tests.helpers.drawn_tissue import UM, draw_cells, draw_he

GLASS = (214, 212, 220)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return draw_cells((0.3, 0.2, 0.2, 0.3), (1000, 1000), background=GLASS).rgb


def estimate(slide: ArraySlide, region: Region | None = None, **how) -> StainEstimate:
    assert slide.pixel_size is not None
    whole = Region.rectangle(0, 0, slide.width, slide.height)
    return estimate_stains(slide, slide.pixel_size, region or whole, **how)


def test_glass_vectors_and_tissue_of_a_drawn_section(drawn):
    found = estimate(ArraySlide(drawn, UM))
    assert np.abs(np.array(found.background) - GLASS).max() < 2
    assert found.background_measured
    assert angle(found.haematoxylin, HAEMATOXYLIN) < 5
    assert found.kind is StainKind.IHC
    assert found.tissue_mm2 == pytest.approx((0.82 * 0.5) ** 2, rel=0.15)


def test_a_region_deep_in_tissue_takes_the_glass_from_elsewhere():
    tissue = draw_cells(size=(2400, 2400), background=GLASS, glass=60).rgb
    wide = np.full((2400, 4200, 3), 0, np.uint8)
    wide[:, :2400] = tissue
    rng = np.random.default_rng(0)
    wide[:, 2400:] = np.clip(np.array(GLASS) + rng.normal(0, 1, (2400, 1800, 3)), 0, 255)
    found = estimate(ArraySlide(wide, UM), Region.rectangle(1000, 1000, 300, 300))
    assert np.abs(np.array(found.background) - GLASS).max() < 2
    assert found.background_source == "glass elsewhere on the slide"


def test_without_any_glass_the_guess_is_called_a_guess(drawn):
    inner = np.ascontiguousarray(drawn[150:850, 150:850])
    found = estimate(ArraySlide(inner, UM, downsamples=(1,)))
    assert not found.background_measured
    assert "no glass" in found.background_source


def test_entered_values_stand(drawn):
    entered = Entered(background=(200.0, 201.0, 202.0), haematoxylin=(0.5, 0.7, 0.5), dab=(0.3, 0.5, 0.8))
    found = estimate(ArraySlide(drawn, UM), entered=entered)
    assert found.background == (200.0, 201.0, 202.0)
    assert angle(found.haematoxylin, (0.5, 0.7, 0.5)) < 1e-3
    assert {found.background_source, found.haematoxylin_source, found.dab_source} == {"entered"}


def test_eosin_is_seen_on_a_slide():
    assert estimate(ArraySlide(draw_he(), UM)).kind is StainKind.HE


def test_the_same_slide_gives_the_same_estimate(drawn):
    assert estimate(ArraySlide(drawn, UM)) == estimate(ArraySlide(drawn, UM))


def test_an_estimate_survives_json(drawn):
    found = estimate(ArraySlide(drawn, UM))
    back = StainEstimate.from_json(json.loads(json.dumps(found.as_json())))
    assert back.as_json() == found.as_json()
    assert back.samples == ()
    with pytest.raises(KeyError):
        StainEstimate.from_json({})


def test_a_slide_without_coarse_levels_is_read_in_strips(drawn, monkeypatch):
    monkeypatch.setattr("her2viewer.stains.estimate.BLOCK_PX", 100_000)
    sizes = []

    class Watched(ArraySlide):
        def read(self, level, x, y, width, height):
            sizes.append(width * height)
            return super().read(level, x, y, width, height)

    plain, strips = ArraySlide(drawn, UM), Watched(drawn, UM, downsamples=(1,))
    assert np.abs(np.subtract(estimate(strips).background, estimate(plain).background)).max() < 1
    assert max(sizes) < 250_000


def test_unreadable_areas_are_passed_over(drawn):
    class Torn(ArraySlide):
        def read(self, level, x, y, width, height):
            if level == 0 and x > 400 and width < 300:
                raise TileError("This area cannot be decoded.")
            return super().read(level, x, y, width, height)

    found = estimate(Torn(drawn, UM))
    assert found.kind is StainKind.IHC
    assert all(x < 900 for x, _ in found.samples)


def test_a_slide_that_is_gone_is_an_error(drawn):
    slide = ArraySlide(drawn, UM)
    slide.close()
    with pytest.raises(SlideError):
        estimate(slide)


def test_it_asks_often_whether_to_stop(drawn):
    looks = []
    estimate(ArraySlide(drawn, UM), check=lambda: looks.append(1))
    assert len(looks) > 10

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate(ArraySlide(drawn, UM), check=stop)


def test_compiled_code_goes_to_the_cache_where_the_source_cannot_hold_it(own_user_folders, monkeypatch, tmp_path):
    from numba.core import config

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(config, "CACHE_DIR", "")
    use_writable_cache(__file__)
    assert config.CACHE_DIR == ""
    use_writable_cache("/nowhere/in/a/frozen/app.py")
    assert str(own_user_folders) in config.CACHE_DIR
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(config, "CACHE_DIR", "kept")
    use_writable_cache("/nowhere/in/a/frozen/app.py")
    assert config.CACHE_DIR == "kept"


def test_compiled_code_goes_to_a_folder_of_this_run_where_nothing_else_can_be_written(monkeypatch, tmp_path):
    from numba.core import config

    file = tmp_path / "a file, no folder"
    file.touch()
    monkeypatch.setattr(config, "CACHE_DIR", "")
    for name in ("HER2VIEWER_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        monkeypatch.setenv(name, str(file / "inside"))
        config.CACHE_DIR = ""
        use_writable_cache("/nowhere/in/a/frozen/app.py")
        assert Path(config.CACHE_DIR).is_dir()
        assert not str(config.CACHE_DIR).startswith(str(tmp_path))
