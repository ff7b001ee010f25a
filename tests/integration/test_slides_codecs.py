"""Compressions other than JPEG, tile by tile: OpenSlide's pixels where it reads them, the codec's own elsewhere."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from her2viewer.phantom.pyramid import reduced
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import OpenSlideSlide
from her2viewer.slides.pixels import as_bgra, averaged
from her2viewer.slides.slide import Slide

pytestmark = pytest.mark.filterwarnings("ignore:.*:ResourceWarning")

SIDE = 256


def colours(width: int, height: int) -> np.ndarray:
    """Smooth colours that differ everywhere."""
    rng = np.random.default_rng(11)
    coarse = rng.integers(30, 240, (height // 32 + 3, width // 32 + 3, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def tiles(image: np.ndarray) -> list[np.ndarray]:
    height, width = image.shape[:2]
    full = np.pad(image, ((0, -height % SIDE), (0, -width % SIDE), (0, 0)), mode="edge")
    return [
        np.ascontiguousarray(full[y : y + SIDE, x : x + SIDE])
        for y in range(0, full.shape[0], SIDE)
        for x in range(0, full.shape[1], SIDE)
    ]


def aperio_jpeg2000(path: Path, levels: list[np.ndarray], *, ycbcr: bool, missing: tuple[int, ...] = ()) -> None:
    """An SVS as Aperio writes it with JPEG 2000: bare codestreams, tags that say RGB in both cases."""
    full = levels[0].shape
    with tifffile.TiffWriter(path) as writer:
        for image in levels:
            encoded = []
            for tile in tiles(image):
                samples = cv2.cvtColor(tile, cv2.COLOR_RGB2YCrCb)[..., (0, 2, 1)] if ycbcr else tile
                data = imagecodecs.jpeg2k_encode(
                    np.ascontiguousarray(samples), level=45, codecformat="j2k", mct=not ycbcr, reversible=False
                )
                encoded.append(data)
            if image is levels[0]:
                encoded = [b"" if i in missing else data for i, data in enumerate(encoded)]
            size = f"{full[1]}x{full[0]} ({SIDE}x{SIDE})"
            if image is not levels[0]:
                size += f" -> {image.shape[1]}x{image.shape[0]}"
            writer.write(
                iter(encoded),
                shape=image.shape,
                dtype=np.uint8,
                tile=(SIDE, SIDE),
                compression=33003 if ycbcr else 33005,
                photometric="rgb",
                metadata=None,
                description=f"Aperio Image Library (test)\n{size} J2K/KDU Q=70|AppMag = 40|MPP = 0.25",
            )


def rectangles(slide: Slide, level: int, count: int) -> list[tuple[int, int, int, int]]:
    """Seeded areas inside a level: anywhere, and the corner where the last tiles are cut."""
    info = slide.levels[level]
    rng = np.random.default_rng(level)
    found = [(info.width - min(70, info.width), info.height - min(90, info.height), min(70, info.width), 60)]
    for _ in range(count):
        width, height = int(rng.integers(1, min(info.width, 500))), int(rng.integers(1, min(info.height, 500)))
        found.append(
            (int(rng.integers(0, info.width - width)), int(rng.integers(0, info.height - height)), width, height)
        )
    return found


@pytest.mark.parametrize("ycbcr", [False, True])
@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_jpeg_2000_at_a_reduced_size_is_near_the_mean_without_decoding_all_of_it(tmp_path, ycbcr, reduce):
    path = tmp_path / "slide.svs"
    aperio_jpeg2000(path, reduced(colours(1100, 940), (4,)), ycbcr=ycbcr)
    with open_slide(path) as slide:
        small = slide.read_bgra(0, 256, 256, 512, 512, reduce=reduce)
        mean = averaged(as_bgra(slide.read(0, 256, 256, 512, 512)), reduce)
        assert small.shape == mean.shape
        difference = np.abs(small.astype(int) - mean)
        assert difference.mean() < 3
        # The mean of all pixels is another one: this came from the small image inside the file.
        assert difference.max() > 0
        # Cut at the edge of the slide.
        edge = slide.read_bgra(0, 1024, 768, 76, 172, reduce=reduce)
        mean = averaged(as_bgra(slide.read(0, 1024, 768, 76, 172)), reduce)
        assert edge.shape == mean.shape
        assert np.abs(edge.astype(int) - mean).mean() < 4


@pytest.mark.parametrize("ycbcr", [False, True])
def test_aperio_jpeg_2000_is_decoded_directly_to_openslides_pixels(tmp_path, ycbcr):
    path = tmp_path / "slide.svs"
    # Whole downsamples, so that OpenSlide can address every pixel.
    levels = reduced(colours(1100, 940), (4,))
    aperio_jpeg2000(path, levels, ycbcr=ycbcr)
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert slide.direct_levels == (0, 1)
        for level, info in enumerate(slide.levels):
            assert info.downsample == 4**level
            for area in rectangles(slide, level, 12):
                got = slide.read(level, *area).astype(int)
                theirs = slide.through_openslide(level, *area).astype(int)
                # The matrix from luminance and chrominance is rounded in another way.
                assert np.abs(got - theirs).max() <= (1 if ycbcr else 0)
            x, y, width, height = 0, 0, min(512, info.width), min(256, info.height)
            assert np.array_equal(
                slide.read_bgra(level, x, y, width, height)[..., 2::-1], slide.read(level, x, y, width, height)
            )
        assert np.abs(slide.read(0, 0, 0, 1100, 940).astype(int) - levels[0]).mean() < 3


def test_a_missing_jpeg_2000_tile_looks_as_openslide_shows_it(tmp_path):
    path = tmp_path / "slide.svs"
    aperio_jpeg2000(path, reduced(colours(1100, 940), (4,)), ycbcr=False, missing=(6,))
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert 0 in slide.direct_levels
        for area in ((256, 256, 256, 256), (200, 200, 400, 300)):
            assert np.array_equal(slide.read(0, *area), slide.through_openslide(0, *area))


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize(
    "compression", ["lzw", "adobe_deflate", "zstd", "none", "packbits", "jpegxl", "webp", "jpeg2000"]
)
def test_an_ome_pyramid_of_every_compression_gives_the_codecs_pixels(tmp_path, compression, bigtiff):
    path = tmp_path / "slide.ome.tif"
    levels = reduced(colours(700, 530), (2,))
    options = {"tile": (SIDE, SIDE), "compression": compression, "photometric": "rgb"}
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as writer:
        writer.write(levels[0], subifds=1, metadata={"axes": "YXS"}, **options)
        writer.write(levels[1], subfiletype=1, **options)
    lossless = compression in {"lzw", "adobe_deflate", "zstd", "none", "packbits"}
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        assert len(slide.levels) == 2
        for level, image in enumerate(levels):
            whole = image if lossless else tiff.series[0].levels[level].asarray()
            for x, y, width, height in rectangles(slide, level, 8):
                wanted = whole[y : y + height, x : x + width]
                assert np.array_equal(slide.read(level, x, y, width, height), wanted)
                assert np.array_equal(slide.read_bgra(level, x, y, width, height)[..., 2::-1], wanted)
