"""JPEG tiles decoded straight to what is wanted: the same pixels by every way, and the general way in doubt."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.slides.image_reader import ImageSlide
from her2viewer.slides.jpeg import JpegTiles
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import OpenSlideSlide
from her2viewer.slides.slide import Slide, SlideError
from her2viewer.slides.tiff_reader import TiffSlide, open_tiff
from tests.helpers.array_slide import ArraySlide

pytestmark = pytest.mark.filterwarnings("ignore:.*:ResourceWarning")


def grain(width: int, height: int) -> np.ndarray:
    """Colours that differ everywhere, smooth enough for JPEG."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(30, 240, (height // 24 + 3, width // 24 + 3, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def tiles(image: np.ndarray) -> list[np.ndarray]:
    """128 px tiles row by row, filled up with grey."""
    height, width = image.shape[:2]
    full = np.pad(image, ((0, -height % 128), (0, -width % 128), (0, 0)), constant_values=128)
    return [
        np.ascontiguousarray(full[y : y + 128, x : x + 128])
        for y in range(0, full.shape[0], 128)
        for x in range(0, full.shape[1], 128)
    ]


def split(jpeg: bytes) -> tuple[bytes, bytes]:
    """Tables for the tag, and the tile without them and without any word on its colours, as Aperio writes both."""
    tables, rest, at = b"", b"", 2
    while jpeg[at + 1] != 0xDA:
        size = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        segment = jpeg[at : at + size]
        if segment[1] in {0xDB, 0xC4}:
            tables += segment
        elif segment[1] < 0xE0:
            rest += segment
        at += size
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + jpeg[at:]


def written(path: Path, kind: str) -> Path:
    image = grain(900, 700)
    options = {"tile": (128, 128), "compression": "jpeg", "metadata": None}
    if kind == "tables shared, colours not transformed":
        parts = [
            split(imagecodecs.jpeg8_encode(tile, colorspace="RGB", outcolorspace="RGB")) for tile in tiles(image)
        ]
        assert len({tables for tables, _ in parts}) == 1
        extra = [(347, 7, len(parts[0][0]), parts[0][0], True)]
        shape = {"shape": image.shape, "dtype": image.dtype, "extratags": extra}
        tifffile.imwrite(path, iter([rest for _, rest in parts]), photometric="rgb", **shape, **options)
    elif kind == "chroma at half size":
        tifffile.imwrite(path, image, photometric="rgb", subsampling=(2, 2), **options)
    elif kind == "big":
        tifffile.imwrite(path, image, photometric="rgb", bigtiff=True, **options)
    elif kind == "SubIFDs":
        write_pyramid(path, reduced(image, (2, 4)), tile=128, subifds=True)
    return path


def check_ways(slide: Slide) -> None:
    """BGRA and RGB of whole levels, single tiles, and areas that begin and end anywhere."""
    for level, info in enumerate(slide.levels):
        areas = [(0, 0, info.width, info.height), (0, 0, 128, 128), (31, 57, 150, 99)]
        areas.append((info.width // 128 * 128, info.height // 128 * 128, info.width % 128, info.height % 128))
        for x, y, width, height in areas:
            if not (width and height and x + width <= info.width and y + height <= info.height):
                continue
            bgra = slide.read_bgra(level, x, y, width, height)
            assert np.array_equal(bgra[..., 2::-1], slide.read(level, x, y, width, height))
            assert (bgra[..., 3] == 255).all()


@pytest.mark.parametrize("kind", ["tables shared, colours not transformed", "chroma at half size", "big", "SubIFDs"])
def test_every_way_to_the_pixels_gives_the_same(tmp_path, kind):
    path = written(tmp_path / "slide.tif", kind)
    with open_slide(path) as slide, open_tiff(path) as general:
        check_ways(slide)
        assert np.abs(slide.read(0, 0, 0, 900, 700).astype(int) - grain(900, 700)).mean() < 2
        if isinstance(slide, OpenSlideSlide):
            theirs = slide.through_openslide(0, 0, 0, slide.width, slide.height)
            assert np.array_equal(slide.read(0, 0, 0, slide.width, slide.height), theirs)
        for level, info in enumerate(slide.levels):
            whole = slide.read(level, 0, 0, info.width, info.height)
            assert np.array_equal(whole, general.read(level, 0, 0, info.width, info.height))
            with tifffile.TiffFile(path) as tiff:
                assert np.array_equal(whole, tiff.series[0].levels[level].asarray())


def test_a_page_of_another_kind_has_no_fast_decoder(tmp_path):
    image = grain(300, 300)
    kinds = [
        {"compression": "adobe_deflate", "photometric": "rgb"},
        {"compression": "jpeg2000", "photometric": "rgb"},
        {"compression": "jpeg", "photometric": "minisblack"},
    ]
    for number, options in enumerate(kinds):
        path = tmp_path / f"{number}.tif"
        pixels = image if options["photometric"] == "rgb" else image[..., 0]
        tifffile.imwrite(path, np.ascontiguousarray(pixels), tile=(128, 128), metadata=None, **options)
        with tifffile.TiffFile(path) as tiff:
            assert JpegTiles.of(tiff.pages[0]) is None


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_reduced_tiles_lie_where_the_mean_of_the_pixels_lies(tmp_path, reduce):
    path = written(tmp_path / "slide.tif", "SubIFDs")
    with open_tiff(path) as slide:
        assert isinstance(slide, TiffSlide)
        for x, y, width, height in ((128, 256, 128, 128), (0, 128, 384, 256), (0, 0, 900, 700), (896, 0, 4, 128)):
            got = slide.read_bgra(0, x, y, width, height, reduce=reduce)
            assert got.shape == (-(-height // reduce), -(-width // reduce), 4)
            full = slide.read(0, x, y, width, height)
            columns, rows = got.shape[1] * reduce, got.shape[0] * reduce
            padded = np.pad(full, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")
            mean = padded.reshape(got.shape[0], reduce, got.shape[1], reduce, 3).mean(axis=(1, 3))
            difference = np.abs(got[..., 2::-1] - mean)
            # A shift by one pixel of the level would be a difference of several grey levels here.
            assert difference.mean() < 0.8
            assert difference.max() < 12


def test_any_slide_can_be_read_reduced_in_qts_order():
    image = grain(101, 77)
    slide = ArraySlide(image)
    got = slide.read_bgra(0, 0, 0, 101, 77, reduce=4)
    assert got.shape == (20, 26, 4)
    assert np.abs(got[0, 0, 2::-1] - image[:4, :4].mean(axis=(0, 1))).max() <= 0.5
    assert np.array_equal(slide.read_bgra(0, 5, 6, 30, 20)[..., 2::-1], image[6:26, 5:35])


def damage(path: Path, page: int = 0) -> tuple[int, int]:
    """Overwrite the second tile; returns its offset and size."""
    with tifffile.TiffFile(path) as tiff:
        offset, size = tiff.pages[page].dataoffsets[1], tiff.pages[page].databytecounts[1]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x00" * size)
    return offset, size


def test_a_damaged_tile_is_an_error_by_every_way_and_its_neighbours_are_not(tmp_path):
    path = written(tmp_path / "slide.tif", "big")
    damage(path)
    with open_tiff(path) as slide:
        for read in (slide.read, slide.read_bgra):
            with pytest.raises(SlideError, match="damaged"):
                read(0, 128, 0, 128, 128)
            assert read(0, 256, 0, 128, 128).shape[:2] == (128, 128)


def test_a_tile_that_says_another_size_is_left_to_the_general_way(tmp_path):
    path = written(tmp_path / "slide.tif", "big")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        decoder = JpegTiles.of(page)
        assert decoder is not None
        tiff.filehandle.seek(page.dataoffsets[0])
        tile = tiff.filehandle.read(page.databytecounts[0])
        assert decoder.decode(tile).shape == (128, 128, 3)
        other = JpegTiles.of(page)
        assert other is not None
        other._width = 120
        with pytest.raises(ValueError, match="128 x 128"):
            other.decode(tile)
    with pytest.raises(ValueError, match="no JPEG"):
        decoder.decode(b"\x00\x01" + tile[2:])


def test_a_closed_slide_says_so_by_every_way(tmp_path):
    path = written(tmp_path / "slide.tif", "big")
    for open_it in (open_slide, open_tiff):
        slide = open_it(path)
        slide.close()
        with pytest.raises(SlideError, match="closed"):
            slide.read_bgra(0, 0, 0, 128, 128)


def test_every_shared_slide_gives_the_same_pixels_by_every_way(shared_slides):
    compared = 0
    for path in sorted(shared_slides.glob("*/*")):
        try:
            slide = open_slide(path)
        except SlideError:
            continue
        with slide:
            if isinstance(slide, ImageSlide):
                continue
            for level, info in enumerate(slide.levels):
                side = min(info.tile_width, 512)
                for column, row in ((0, 0), (info.width // side // 2, info.height // side // 2)):
                    x, y = column * side, row * side
                    width, height = min(side, info.width - x), min(side, info.height - y)
                    bgra = slide.read_bgra(level, x, y, width, height)
                    assert np.array_equal(bgra[..., 2::-1], slide.read(level, x, y, width, height)), path.name
                    shift = slide.levels[level].downsample * x % 1, slide.levels[level].downsample * y % 1
                    if isinstance(slide, OpenSlideSlide) and level < slide.file_levels and shift == (0, 0):
                        theirs = slide.through_openslide(level, x, y, width, height)
                        assert np.array_equal(theirs, bgra[..., 2::-1]), (path.name, level)
                        compared += 1
    assert compared >= 15
