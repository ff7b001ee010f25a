"""DICOM slides: frames decoded directly to OpenSlide's own pixels, whatever the compression and the tables."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageCms

from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.slides.colour import profile_name
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import OpenSlideSlide
from her2viewer.slides.slide import TileError
from tests.helpers.dicom_files import JPEG, JPEG_2000, MPP, UNCOMPRESSED, encoded, grain, tiles_of, write_image

WIDTH, HEIGHT = 300, 200

KINDS = {
    "JPEG": {},
    "JPEG, colours not transformed": {"photometric": "RGB"},
    "JPEG 2000": {"syntax": JPEG_2000, "photometric": "YBR_ICT"},
    "JPEG 2000, colours not transformed": {"syntax": JPEG_2000, "photometric": "RGB"},
    "not compressed": {"syntax": UNCOMPRESSED, "photometric": "RGB"},
    "no table of offsets": {"table": "none"},
    "extended table of offsets": {"table": "extended"},
    "frames in two fragments": {"fragments": 2},
    "frames in any order": {"order": "sparse"},
    "frames in any order, sequences of undefined length": {"order": "sparse, undefined"},
}


def same_as_openslide(slide: OpenSlideSlide) -> bool:
    """Whether whole levels and areas that begin anywhere are OpenSlide's own pixels, in both orders of channels."""
    for level, info in enumerate(slide.levels):
        for x, y, width, height in ((0, 0, info.width, info.height), (17, 31, info.width // 2, info.height // 2)):
            theirs = slide.through_openslide(level, x, y, width, height)
            if not np.array_equal(slide.read(level, x, y, width, height), theirs):
                return False
            if not np.array_equal(slide.read_bgra(level, x, y, width, height)[..., 2::-1], theirs):
                return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_dicom_slide_has_openslides_pixels_at_every_level(tmp_path, kind):
    image = grain(WIDTH, HEIGHT)
    path = write_image(tmp_path / "a.dcm", image, **KINDS[kind])
    write_image(tmp_path / "b.dcm", image[::2, ::2], mpp=2 * MPP, **KINDS[kind])
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert [(level.width, level.height) for level in slide.levels] == [(WIDTH, HEIGHT), (150, 100)]
        assert slide.direct_levels == (0, 1)
        assert same_as_openslide(slide)
        assert np.abs(slide.read(0, 0, 0, WIDTH, HEIGHT).astype(int) - image).mean() < 4
        assert slide.pixel_size is not None
        assert (slide.pixel_size.mpp, slide.pixel_size.source) == (pytest.approx(MPP), PixelSizeSource.FILE)
        assert slide.objective_power == 40


def test_places_without_a_frame_are_background(tmp_path):
    image = grain(WIDTH, HEIGHT)
    path = write_image(
        tmp_path / "a.dcm", image, syntax=UNCOMPRESSED, photometric="RGB", order="sparse", missing=[0, 6]
    )
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert slide.direct_levels == (0,)
        assert same_as_openslide(slide)
        pixels = slide.read(0, 0, 0, WIDTH, HEIGHT)
    assert (pixels[:64, :64] == 255).all()
    assert np.array_equal(pixels[:64, 64:], image[:64, 64:])


@pytest.mark.parametrize("order", ["full", "sparse"])
def test_a_level_divided_over_several_files_is_one_level(tmp_path, order):
    image = grain(WIDTH, HEIGHT)
    paths = [
        write_image(
            tmp_path / f"{number}.dcm", image, syntax=UNCOMPRESSED, photometric="RGB", order=order, part=(number, 3)
        )
        for number in (1, 2, 3)
    ]
    with open_slide(paths[1]) as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert slide.direct_levels == (0,)
        assert same_as_openslide(slide)
        assert np.array_equal(slide.read(0, 0, 0, WIDTH, HEIGHT), image)


def test_files_of_other_slides_in_the_folder_are_left_alone(tmp_path):
    image = grain(WIDTH, HEIGHT)
    path = write_image(tmp_path / "a.dcm", image)
    write_image(tmp_path / "b.dcm", 255 - image, series="1.2.3.5")
    write_image(tmp_path / "c.dcm", image[:128, :128], kind="LABEL", side=128)
    (tmp_path / "d.dcm").write_bytes(path.read_bytes()[:700])
    (tmp_path / "copy of a.dcm").write_bytes(path.read_bytes())
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert len(slide.levels) == 1
        assert slide.direct_levels == (0,)
        assert same_as_openslide(slide)
        assert list(slide.associated_images()) == ["label"]


def test_a_damaged_frame_leaves_the_rest_of_the_slide(tmp_path):
    image = grain(WIDTH, HEIGHT)
    frames = [encoded(tile, JPEG, "YBR_FULL_422") for tile in tiles_of(image)]
    frames[3] = frames[3][:20] + b"\0" * 200
    path = write_image(tmp_path / "a.dcm", image, frames=frames)
    with open_slide(path) as slide:
        with pytest.raises(TileError, match="damaged at x = 192, y = 0"):
            slide.read(0, 192, 0, 64, 64)
        assert np.abs(slide.read(0, 0, 0, 128, 64).astype(int) - image[:64, :128]).mean() < 4


def test_the_colour_profile_of_the_optical_path_is_known(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with open_slide(write_image(tmp_path / "a.dcm", grain(WIDTH, HEIGHT), icc=profile)) as slide:
        assert slide.icc_profile is not None
        assert profile_name(slide.icc_profile).startswith("sRGB")
        assert isinstance(slide, OpenSlideSlide)
        assert slide.direct_levels == (0,)


def test_real_dicom_files_have_openslides_pixels(shared_slides):
    with open_slide(shared_slides / "whole-slide" / "dicom_mpp_124.dcm") as slide:
        assert isinstance(slide, OpenSlideSlide)
        assert slide.direct_levels == (0,)
        assert same_as_openslide(slide)
