"""JPEG 2000 at a half, a quarter and an eighth: what the codec itself would give, near the mean."""

from __future__ import annotations

import io
import struct

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from her2viewer.slides.jpeg2000 import HALVINGS, Jpeg2000Tiles, reduced
from her2viewer.slides.pixels import Samples, averaged

SIDE = 256


def tissue() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(40, 230, (SIDE // 24, SIDE // 24, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))


def encoded(reversible: bool = False, mct: bool = True, codecformat: str = "j2k", **more: object) -> bytes:
    level = 0 if reversible else 40
    return bytes(
        imagecodecs.jpeg2k_encode(
            tissue(), level=level, codecformat=codecformat, mct=mct, reversible=reversible, **more
        )
    )


@pytest.mark.parametrize("reduce", [2, 4, 8])
@pytest.mark.parametrize(("reversible", "mct"), [(False, True), (True, True), (False, False)])
def test_a_reduced_codestream_decodes_to_what_the_codec_gives_when_asked_for_less(
    reduce: int, reversible: bool, mct: bool
) -> None:
    data = encoded(reversible, mct)
    # Pillow asks OpenJPEG for fewer resolutions, one thread at a time.
    asked = Image.open(io.BytesIO(data))
    asked.reduce = HALVINGS[reduce]  # type: ignore[attr-defined]
    asked.load()
    assert np.array_equal(imagecodecs.jpeg2k_decode(reduced(data, HALVINGS[reduce])), np.asarray(asked))


@pytest.mark.parametrize("reduce", [2, 4, 8])
@pytest.mark.parametrize("codecformat", ["j2k", "jp2"])
def test_a_reduced_tile_is_near_the_mean_and_not_moved(reduce: int, codecformat: str) -> None:
    data = encoded(codecformat=codecformat)
    tiles = Jpeg2000Tiles(SIDE, SIDE, Samples("rgb"), (255, 255, 255))
    assert tiles.reduces(reduce)
    small = tiles.decode(data, "BGRA", reduce)
    mean = averaged(imagecodecs.jpeg2k_decode(data), reduce)
    assert small.shape == (SIDE // reduce, SIDE // reduce, 4)
    assert (small[..., 3] == 255).all()
    assert np.abs(small[..., 2::-1].astype(int) - mean).mean() < 7
    grey, other = (cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).astype(np.float64) for i in (mean, small[..., 2::-1].copy()))
    (across, down), _ = cv2.phaseCorrelate(grey, other)
    assert max(abs(across), abs(down)) < 0.15


def with_byte(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def damaged(kind: str) -> bytes:
    data = encoded()
    style = data.index(b"\xff\x52")
    kinds = {
        "no codestream": b"\xff\xd8" + data[2:],
        "cut off": data[:60],
        "resolutions last": with_byte(data, style + 5, 4),
        "several layers": with_byte(with_byte(data, style + 5, 0), style + 7, 2),
        "not halved so often": with_byte(data, style + 9, 1),
        "an offset": with_byte(data, 2 + 2 + 2 + 2 + 8 + 3, 1),
        "a region of interest": data[:style] + struct.pack(">HHBBB", 0xFF5E, 5, 0, 0, 3) + data[style:],
    }
    return kinds[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no codestream", "no JPEG 2000"),
        ("cut off", "damaged|ends in its header"),
        ("resolutions last", "mixed order"),
        ("several layers", "mixed order"),
        ("not halved so often", "halved 1 times"),
        ("an offset", "does not begin at 0"),
        ("a region of interest", "ff5e"),
    ],
)
def test_what_cannot_be_reduced_is_refused_and_not_decoded_wrongly(kind: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reduced(damaged(kind), 2)


def test_a_tile_of_another_size_or_damaged_is_left_to_the_general_way() -> None:
    tiles = Jpeg2000Tiles(2 * SIDE, SIDE, Samples("rgb"), (255, 255, 255))
    with pytest.raises(ValueError, match="128 x 128"):
        tiles.decode(encoded(), "BGRA", 2)
    data = encoded()
    square = Jpeg2000Tiles(SIDE, SIDE, Samples("rgb"), (255, 255, 255))
    with pytest.raises(ValueError, match=r"."):
        square.decode(data[: data.index(b"\xff\x93")], "BGRA", 2)
    assert not square.reduces(1)
    assert not Jpeg2000Tiles(250, 250, Samples("rgb"), (255, 255, 255)).reduces(4)
