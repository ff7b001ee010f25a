"""DICOM slides: frames decoded directly to OpenSlide's own pixels, whatever the compression and the tables."""

from __future__ import annotations

import numpy as np
import openslide
import pytest
from PIL import ImageCms

from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.slides.colour import profile_name
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import OpenSlideSlide
from her2viewer.slides.slide import SlideError, TileError
from tests.helpers.dicom_files import (
    JPEG,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_LS,
    MPP,
    RUN_LENGTHS,
    UNCOMPRESSED,
    encoded,
    grain,
    tiles_of,
    write_image,
)

WIDTH, HEIGHT = 300, 200

KINDS = {
    "JPEG": {},
    "JPEG, colours not transformed": {"photometric": "RGB"},
    "JPEG 2000": {"syntax": JPEG_2000, "photometric": "YBR_ICT"},
    "JPEG 2000, colours not transformed": {"syntax": JPEG_2000, "photometric": "RGB"},
    "JPEG 2000 without loss": {"syntax": JPEG_2000_LOSSLESS, "photometric": "YBR_RCT"},
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


REFUSED_BY_OPENSLIDE = {
    "JPEG-LS": {"syntax": JPEG_LS, "photometric": "RGB"},
    "run lengths": {"syntax": RUN_LENGTHS, "photometric": "RGB"},
    "JPEG, colours at full size": {"photometric": "YBR_FULL"},
    "not compressed, colour by colour": {"syntax": UNCOMPRESSED, "photometric": "RGB", "planar": True},
}


@pytest.mark.parametrize("kind", REFUSED_BY_OPENSLIDE)
def test_what_openslide_refuses_is_read_all_the_same(tmp_path, kind):
    options = REFUSED_BY_OPENSLIDE[kind]
    image = grain(WIDTH, HEIGHT)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = write_image(tmp_path / "a.dcm", image, order="sparse", icc=profile, **options)
    write_image(tmp_path / "b.dcm", image[::2, ::2], mpp=2 * MPP, **options)
    write_image(tmp_path / "c.dcm", image[:128, :128], kind="LABEL", side=128, **options)
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(path)
    # By whichever file of the pyramid.
    for name in ("a.dcm", "b.dcm"):
        with open_slide(tmp_path / name) as slide:
            assert slide.format == "DICOM slide"
            assert [(level.width, level.height) for level in slide.levels] == [(WIDTH, HEIGHT), (150, 100)]
            for level, truth in enumerate((image, image[::2, ::2])):
                got = slide.read(level, 0, 0, truth.shape[1], truth.shape[0])
                difference = np.abs(got.astype(int) - truth)
                assert difference.mean() < 4 if options.get("syntax", JPEG) == JPEG else not difference.any()
                part = slide.read_bgra(level, 17, 31, 100, 60)
                assert np.array_equal(part[..., 2::-1], got[31:91, 17:117])
            assert slide.pixel_size is not None
            assert slide.pixel_size.mpp == pytest.approx(MPP)
            assert slide.objective_power == 40
            assert profile_name(slide.icc_profile).startswith("sRGB")
            assert slide.associated_images()["label"].shape == (128, 128, 3)
    with pytest.raises(SlideError, match="closed"):
        slide.read(0, 0, 0, 10, 10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"syntax": "1.2.840.10008.1.2.4.70", "photometric": "RGB", "frames": [b"\xff\xd8\0\0"] * 20},
            "lossless JPEG",
        ),
        ({"syntax": UNCOMPRESSED, "photometric": "MONOCHROME2", "samples": 1}, "one channel, as fluorescence"),
        ({"part": (2, 3)}, "one of 3 files that hold one image together, of which 1 can be found"),
        ({"syntax": JPEG_LS, "photometric": "RGB", "frames": [b"\xff\xd8\xff\xf7" + bytes(60)] * 20}, "is damaged"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, options, words):
    path = write_image(tmp_path / "a.dcm", grain(WIDTH, HEIGHT), **options)
    with pytest.raises(SlideError, match=words) as refused:
        open_slide(path)
    assert str(refused.value).startswith("a.dcm ")
    assert str(refused.value).endswith(".")


def test_a_header_that_ends_early_is_refused(tmp_path):
    whole = write_image(tmp_path / "a.dcm", grain(WIDTH, HEIGHT), syntax=JPEG_LS, photometric="RGB").read_bytes()
    for size in (200, 900, len(whole) // 2):
        cut = tmp_path / f"{size}.dcm"
        cut.write_bytes(whole[:size])
        with pytest.raises(SlideError, match=f"{size}.dcm "):
            open_slide(cut)
