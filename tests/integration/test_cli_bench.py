"""``her2viewer bench viewer``: what it measures and says. No figure is judged here: machines differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from her2viewer.commands import exit_codes
from her2viewer.commands.bench import main
from her2viewer.commands.bench_canvas import Frame, _answers, _needed_megapixels
from her2viewer.commands.bench_decode import decode_rates
from her2viewer.commands.bench_figures import percentile, summary
from her2viewer.commands.bench_slide import make_slide
from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.slides.open import open_slide
from her2viewer.viewer.canvas.grid import Pyramid
from her2viewer.viewer.canvas.viewport import Viewport
from tests.helpers.array_slide import ArraySlide


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 1,500 px."""
    path = tmp_path_factory.mktemp("bench") / "small.tif"
    coarse = np.random.default_rng(2).integers(40, 240, (60, 60, 3), dtype=np.uint8)
    picture = np.asarray(cv2.resize(coarse, (1500, 1500), interpolation=cv2.INTER_CUBIC))
    write_pyramid(path, reduced(picture, (4,)), mpp=0.25, magnification=40)
    return path


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, without a screen."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-m", "her2viewer", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)


@pytest.fixture(scope="module")
def figures(small: Path) -> dict[str, Any]:
    done = bench("viewer", "--json", "--seconds", "5", str(small), "--size", "640x480")
    assert done.returncode == exit_codes.OK, done.stderr
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_json_names_the_machine_the_slide_and_the_view(figures, small) -> None:
    assert figures["ok"] is True
    assert figures["machine"]["processor"]
    assert figures["machine"]["cores"] >= 1
    assert figures["slide"]["name"] == small.name
    assert figures["slide"]["width"] == 1500
    assert figures["view"] == [640, 480]


def test_all_three_ways_decode_and_ratios_belong_to_their_rates(figures) -> None:
    for row in figures["decode"]["threads"].values():
        assert min(row["raw"], row["reader"], row["openslide"]) > 0
        assert row["of_raw"] > 0
        assert row["of_openslide"] > 0
    assert figures["decode"]["raw_decoder"] == "simplejpeg"


def test_jumps_are_compared_with_the_decoder_on_the_level_that_they_read(figures) -> None:
    for jump in figures["jumps"]:
        cores = max(jump["raw"], key=int)
        assert jump["raw"]["1"] > 0
        assert jump["of_decoding_all_cores"] / jump["of_decoding"] == pytest.approx(
            jump["raw"][cores] / jump["raw"]["1"]
        )


def test_jumps_are_never_blank_and_every_time_has_its_order(figures) -> None:
    assert [jump["zoom"] for jump in figures["jumps"]] == ["1:1", "0.73", "1/3.7", "1/12"]
    assert all(jump["blank"] == 0 for jump in figures["jumps"])
    times = [*figures["jumps"], *figures["frames"], *figures["first_view"].values()]
    times += [figures[pan][key] for pan in ("pan", "pan_while_busy") for key in ("cost", "input_to_frame")]
    for row in times:
        assert 0 < row["median_ms"] <= row["p99_ms"] <= row["worst_ms"]


def test_frames_are_multiples_of_a_blit(figures) -> None:
    names = [row["what"] for row in figures["frames"]]
    for needed in ("cached at 1:1", "while zooming", "turned 30 degrees, panned", "100,000 cells at 1:1"):
        assert needed in names
    for row in figures["frames"]:
        assert row["of_blit"] == pytest.approx(row["median_ms"] / row["blit_ms"])


def test_words_and_shares_are_timed_with_cells_over_patches(figures) -> None:
    names = [row["what"] for row in figures["frames"]]
    assert any("cells over" in name and name.endswith("patches at 1:1") for name in names)
    assert len(figures["readout"]) == 2
    assert [row["what"].split()[3] for row in figures["shares"]] == ["cells,", "patches,"]
    for row in (*figures["readout"], *figures["shares"]):
        assert 0 < row["median_ms"] <= row["p99_ms"] <= row["worst_ms"]


def test_the_memory_at_most_is_no_less_than_what_it_was_on_the_way(figures) -> None:
    memory = figures["memory"]
    if memory["before_mb"] is not None and memory["peak_mb"] is not None:
        assert memory["peak_mb"] + 1 >= max(memory["before_mb"], memory["after_panning_mb"])


def test_the_table_says_the_same_to_people(figures, capsys) -> None:
    from her2viewer.commands.bench_table import show
    from her2viewer.commands.output import Output

    show(Output(False).people(), figures)
    text = capsys.readouterr().out
    assert figures["machine"]["processor"] in text
    for words in (
        "times OpenSlide",
        "jump at 1/3.7",
        "frames wholly sharp",
        "turned 30 degrees",
        "a corner dragged",
        "Memory",
    ):
        assert words in text
    first = next(iter(figures["decode"]["threads"].values()))
    assert f"{first['reader']:.0f}" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["viewer", "nothing.svs"], exit_codes.SLIDE_UNREADABLE, "nothing.svs"),
        (["viewer", "--seconds", "0"], exit_codes.USAGE, "5 to 3600"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(arguments, code, words, capsys) -> None:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("size", ["big", "10x10", "1920", "x"])
def test_a_size_that_is_none_is_refused(size, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["viewer", "--size", size])
    assert "size" in capsys.readouterr().err


def test_a_slide_is_made_from_the_sample_with_three_levels(tmp_path) -> None:
    path = tmp_path / "made.tif"
    make_slide(path, 2048)
    with open_slide(path) as slide:
        assert [(level.width, level.height) for level in slide.levels] == [(2048, 2048), (512, 512), (128, 128)]
        assert slide.pixel_size is not None
        # Tissue and no glass.
        assert slide.read(0, 500, 500, 1000, 1000).std() > 8


def test_a_plain_picture_is_measured_without_a_raw_decoder(tmp_path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.zeros((600, 700, 3), np.uint8))
    with open_slide(path) as slide:
        rates = decode_rates(path, slide, 0.1)
    assert rates["raw_decoder"] is None
    assert rates["threads"]["1"]["raw"] is None
    assert rates["threads"]["1"]["openslide"] is None
    assert rates["threads"]["1"]["of_raw"] is None
    assert rates["threads"]["1"]["reader"] > 0


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([5.0, 1.0, 3.0], 0.99) == 5.0
    assert percentile([float(v) for v in range(1, 201)], 0.99) == 198.0
    assert percentile([7.0], 0.5) == 7.0
    assert summary([1.0, 2.0, 9.0]) == {"median_ms": 2.0, "p99_ms": 9.0, "worst_ms": 9.0}


def test_the_answer_to_a_step_is_the_first_whole_frame_after_it() -> None:
    painted = [
        Frame(0.005, 1.0, True, True),
        Frame(0.012, 1.0, False, False),
        Frame(0.020, 1.0, True, True),
        Frame(0.050, 1.0, False, True),
    ]
    latencies, sharp = _answers([0.010, 0.030, 0.060], painted)
    assert latencies == pytest.approx([10.0, 20.0])
    assert sharp == 1


def test_the_pixels_that_a_view_needs_are_those_of_its_tiles() -> None:
    pyramid = Pyramid.of(ArraySlide(np.zeros((1024, 1024, 3), np.uint8), downsamples=(1,)))
    # Two by two tiles of 256 px.
    assert _needed_megapixels(pyramid, Viewport(512.0, 512.0, 1.0, 300, 300)) == pytest.approx(4 * 256 * 256 / 1e6)
