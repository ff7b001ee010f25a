"""Readers against each other and against known pixels, on files written here."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.slides.image_reader import ImageSlide
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import Bounds, OpenSlideSlide
from her2viewer.slides.pixel_size import PixelSizeStore, resolve_pixel_size
from her2viewer.slides.slide import Slide, SlideError, TileError
from her2viewer.slides.tiff_reader import TiffSlide, open_tiff

pytestmark = pytest.mark.filterwarnings("ignore:.*:ResourceWarning")


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with fine grain: unlike at every place, and kind to JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 230, (height // 40 + 3, width // 40 + 3, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(smooth + rng.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)


def whole(slide: Slide, level: int = 0) -> np.ndarray:
    info = slide.levels[level]
    return slide.read(level, 0, 0, info.width, info.height)


@pytest.mark.parametrize("compression", ["jpeg", "adobe_deflate", "lzw"])
@pytest.mark.parametrize("size", [(1333, 901), (515, 770)])
def test_openslide_direct_tiles_and_tifffile_give_the_same_pixels_at_every_level(tmp_path, compression, size):
    path = tmp_path / "slide.tif"
    write_pyramid(path, reduced(picture(*size), (3, 7)), mpp=0.25, compression=compression)
    with open_slide(path) as ours, open_tiff(path) as other:
        assert isinstance(ours, OpenSlideSlide)
        assert isinstance(other, TiffSlide)
        assert ours.direct_levels == (0, 1, 2)
        assert [(v.width, v.height, v.downsample) for v in ours.levels] == [
            (v.width, v.height, v.downsample) for v in other.levels
        ]
        assert ours.levels[2].downsample != round(ours.levels[2].downsample)
        assert ours.identity == other.identity
        for level, info in enumerate(ours.levels):
            got = whole(ours, level)
            assert np.array_equal(got, whole(other, level))
            # OpenSlide's own answer from the corner, where its rounding of positions plays no part.
            assert np.array_equal(got, ours.through_openslide(level, 0, 0, info.width, info.height))
        assert np.array_equal(ours.read(1, -7, -9, 300, 280), other.read(1, -7, -9, 300, 280))
        assert np.array_equal(ours.read(2, 33, 51, 100, 200), other.read(2, 33, 51, 100, 200))


def test_lossless_pixels_come_back_as_they_were(tmp_path):
    path = tmp_path / "slide.tif"
    levels = reduced(picture(700, 500), (2, 5))
    write_pyramid(path, levels, compression="adobe_deflate")
    with open_slide(path) as slide:
        for level, image in enumerate(levels):
            assert np.array_equal(whole(slide, level), image)
        tile = slide.read(0, 640, 450, 200, 100)
        assert np.array_equal(tile[:50, :60], levels[0][450:, 640:])
        assert (tile[50:] == 255).all()
        assert (tile[:, 60:] == 255).all()


def test_a_slide_of_aperio_form_gives_pixel_size_and_objective(tmp_path):
    path = tmp_path / "slide.tif"
    write_pyramid(path, reduced(picture(600, 500), (4,)), mpp=0.25, magnification=40)
    with open_slide(path) as slide:
        assert slide.format == "Aperio SVS"
        assert slide.pixel_size is not None
        assert (slide.pixel_size.mpp, slide.pixel_size.source) == (0.25, PixelSizeSource.FILE)
        assert slide.objective_power == 40
        assert len(slide.levels) == 2


def test_a_pyramid_in_subifds_keeps_its_levels(tmp_path):
    path = tmp_path / "slide.ome.tif"
    levels = reduced(picture(1400, 1100), (2, 4))
    write_pyramid(path, levels, compression="adobe_deflate", subifds=True, mpp=0.5)
    with open_slide(path) as slide:
        assert [(v.width, v.height) for v in slide.levels] == [(1400, 1100), (700, 550), (350, 275)]
        for level, image in enumerate(levels):
            assert np.array_equal(whole(slide, level), image)


@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "jpegxl"])
def test_compressions_that_openslide_refuses_are_read_through_tifffile(tmp_path, compression):
    path = tmp_path / "slide.tif"
    image = picture(600, 400)
    write_pyramid(path, [image], compression=compression)
    with open_slide(path) as slide:
        assert isinstance(slide, TiffSlide)
        assert np.abs(whole(slide).astype(int) - image).mean() < 6


@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("grey", {"photometric": "minisblack"}),
        ("white is zero", {"photometric": "miniswhite"}),
        ("16 bit", {"photometric": "minisblack"}),
        ("12 bit in 16", {"photometric": "minisblack"}),
        ("16 bit colour", {"photometric": "rgb"}),
        ("float", {"photometric": "minisblack"}),
        ("planes", {"photometric": "rgb", "planarconfig": "separate"}),
        ("alpha", {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        ("premultiplied", {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
        ("palette", {"photometric": "palette"}),
    ],
)
def test_samples_of_every_kind_become_rgb(tmp_path, tiled, kind, options):
    rgb = picture(300, 200)
    grey = rgb[..., 0]
    alpha = np.full(grey.shape, 255, np.uint8)
    alpha[:50] = 0
    alpha[50:100] = 128
    part = alpha[..., None] / 255
    over_white = rgb * part + 255 * (1 - part)
    table = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 7)]).astype(np.uint16) * 257
    data, wanted = {
        "grey": (grey, grey),
        "white is zero": (grey, 255 - grey),
        "16 bit": (grey.astype(np.uint16) * 257, grey),
        "12 bit in 16": (np.round(grey * (4095 / 255)).astype(np.uint16), grey),
        "16 bit colour": (rgb.astype(np.uint16) * 257, rgb),
        "float": ((grey / 255).astype(np.float32), grey),
        "planes": (np.moveaxis(rgb, 2, 0), rgb),
        "alpha": (np.dstack([rgb, alpha]), over_white),
        "premultiplied": (np.dstack([np.round(rgb * part).astype(np.uint8), alpha]), over_white),
        "palette": (grey, np.dstack([grey, 255 - grey, np.full_like(grey, 7)])),
    }[kind]
    if kind == "12 bit in 16":
        data[100, 150] = 4095
    if kind == "palette":
        options = {**options, "colormap": table}
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, data, metadata=None, tile=(128, 128) if tiled else None, **options)
    with open_slide(path) as slide:
        got = whole(slide).astype(int)
    wanted = np.repeat(wanted[..., None], 3, 2) if wanted.ndim == 2 else wanted
    difference = np.abs(got - wanted)
    if kind == "12 bit in 16":
        difference[100, 150] = 0
    assert difference.max() <= 2


def test_fluorescence_is_refused_in_words(tmp_path):
    path = tmp_path / "channels.ome.tif"
    tifffile.imwrite(path, np.zeros((5, 300, 300), np.uint16), metadata={"axes": "CYX"}, tile=(128, 128))
    with pytest.raises(SlideError, match="5 separate channels"):
        open_slide(path)


def test_three_uint8_channels_on_pages_of_their_own_are_a_colour_image(tmp_path):
    path = tmp_path / "channels.ome.tif"
    image = picture(300, 200)
    tifffile.imwrite(
        path, np.moveaxis(image, 2, 0), metadata={"axes": "CYX"}, tile=(128, 128), photometric="minisblack"
    )
    with open_slide(path) as slide:
        assert slide.format == "OME-TIFF"
        assert np.array_equal(whole(slide), image)


@pytest.mark.parametrize(("suffix", "form"), [("png", "PNG"), ("jpg", "JPEG"), ("bmp", "BMP"), ("webp", "WEBP")])
def test_a_plain_image_opens_whatever_its_name_is(tmp_path, suffix, form):
    path = tmp_path / "field.svs"
    image = picture(300, 200)
    Image.fromarray(image).save(path, format=form)
    with open_slide(path) as slide:
        assert slide.format.startswith(form[:3]) or slide.format == "WebP image"
        assert slide.pixel_size is None
        assert np.abs(whole(slide).astype(int) - image).mean() < 8
    assert suffix


def test_alpha_of_a_png_lies_over_white_and_colour_tables_are_resolved(tmp_path):
    image = picture(60, 40)
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    Image.fromarray(np.dstack([image, alpha])).save(tmp_path / "alpha.png")
    with open_slide(tmp_path / "alpha.png") as slide:
        got = whole(slide)
    assert (got[:, :30] == 255).all()
    assert np.array_equal(got[:, 30:], image[:, 30:])
    indexed = Image.fromarray(image).quantize(16)
    indexed.save(tmp_path / "indexed.png")
    with open_slide(tmp_path / "indexed.png") as slide:
        assert np.array_equal(whole(slide), np.asarray(indexed.convert("RGB")))


def test_sixteen_bit_grey_png_is_scaled(tmp_path):
    grey = picture(60, 40)[..., 0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "grey.png")
    with open_slide(tmp_path / "grey.png") as slide:
        assert np.array_equal(whole(slide)[..., 1], grey)


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    image = picture(60, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)
    with open_slide(tmp_path / "turned.png") as slide:
        assert np.array_equal(whole(slide), np.rot90(image, -1))


def test_a_plain_image_with_a_microscope_resolution_has_a_pixel_size(tmp_path):
    Image.fromarray(picture(60, 40)).save(tmp_path / "field.png", dpi=(50800, 50800))
    with open_slide(tmp_path / "field.png") as slide:
        assert slide.pixel_size is not None
        assert slide.pixel_size.mpp == pytest.approx(0.5, rel=1e-3)
        assert slide.pixel_size.source is PixelSizeSource.RESOLUTION_TAG


def test_a_large_plain_image_gets_reduced_levels(tmp_path):
    path = tmp_path / "large.png"
    image = cv2.resize(picture(600, 200), (5001, 1203))
    Image.fromarray(image).save(path, compress_level=1)
    with open_slide(path) as slide:
        assert isinstance(slide, ImageSlide)
        assert len(slide.levels) > 2
        assert slide.levels[-1].width <= 1024
        for level, info in list(enumerate(slide.levels))[1:]:
            wanted = cv2.resize(image, (info.width, info.height), interpolation=cv2.INTER_AREA)
            assert np.abs(whole(slide, level).astype(int) - wanted).mean() < 2
            assert info.downsample == pytest.approx(5001 / info.width, rel=3e-3)


def test_an_image_that_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("her2viewer.slides.image_reader.MAX_PIXELS", 1000)
    Image.fromarray(picture(60, 40)).save(tmp_path / "bomb.png")
    tifffile.imwrite(tmp_path / "bomb.tif", picture(60, 40), photometric="rgb")
    for name in ("bomb.png", "bomb.tif"):
        with pytest.raises(SlideError, match="memory"):
            open_slide(tmp_path / name)


@given(
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.integers(1, 90_000),
    st.integers(1, 90_000),
    st.sampled_from([1.0, 2.0, 4.0, 8.001951219512195, 16.0039, 64.3]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_level_pixel_of_the_bounds_lies_where_it_should(bx, by, width, height, downsample, at_x, at_y):
    bounds = Bounds(bx, by, width, height)
    columns, rows = bounds.level_size(downsample)
    # Every px that the bounds touch, and no more.
    assert (columns - 1) * downsample < width + 1e-3
    assert columns * downsample >= width - 1e-3
    assert rows * downsample >= height - 1e-3
    x, y = int(at_x * (columns - 1)), int(at_y * (rows - 1))
    located_x, located_y = bounds.location(x, y, downsample)
    assert abs(located_x - (bx + x * downsample)) <= 0.5 + 1e-6
    assert abs(located_y - (by + y * downsample)) <= 0.5 + 1e-6
    assert bounds.location(0, 0, downsample) == (bx, by)


@pytest.mark.parametrize("wrong", ["", "x", "-5"])
def test_bounds_that_make_no_sense_are_ignored(wrong):
    names = ("openslide.bounds-x", "openslide.bounds-y", "openslide.bounds-width", "openslide.bounds-height")
    given_bounds = dict(zip(names, ("10", "20", "30", wrong), strict=True))
    assert Bounds.of(given_bounds, 500, 400) == Bounds(0, 0, 500, 400)
    given_bounds["openslide.bounds-height"] = "900"
    assert Bounds.of(given_bounds, 500, 400) == Bounds(10, 20, 30, 380)


class WithBounds(openslide.OpenSlide):
    """A real slide that states where on it was scanned, as MIRAX and Leica slides do."""

    @property
    def properties(self):
        bounds = {"x": "96", "y": "48", "width": "501", "height": "402"}
        return {**super().properties, **{f"openslide.bounds-{k}": v for k, v in bounds.items()}}


def test_our_origin_is_the_corner_of_the_bounds(tmp_path):
    path = tmp_path / "slide.tif"
    levels = reduced(picture(1024, 768), (2, 4))
    write_pyramid(path, levels, compression="adobe_deflate")
    with OpenSlideSlide(path, WithBounds(path)) as slide:
        assert slide.bounds_offset == (96, 48)
        assert [(v.width, v.height) for v in slide.levels] == [(501, 402), (251, 201), (126, 101)]
        assert np.array_equal(whole(slide), levels[0][48 : 48 + 402, 96 : 96 + 501])
        assert np.array_equal(slide.read(1, 10, 20, 30, 40), levels[1][44:84, 58:88])
        assert np.array_equal(slide.read(2, 0, 0, 126, 101), levels[2][12:113, 24:150])
        outside = slide.read(0, -10, -10, 20, 20)
        assert (outside[:10] == 255).all()
        assert np.array_equal(outside[10:, 10:], levels[0][48:58, 96:106])


def test_eight_threads_read_the_same_pixels_as_one(tmp_path):
    path = tmp_path / "slide.tif"
    write_pyramid(path, reduced(picture(1500, 1200), (2, 5)), mpp=0.25)
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)
        places = [(lv, x, y) for lv in range(3) for x in range(0, 300, 97) for y in range(0, 240, 61)]
        wanted = [slide.read(lv, x, y, 200, 150) for lv, x, y in places]
        wrong: list[object] = []

        def work(seed: int) -> None:
            try:
                for k in np.random.default_rng(seed).permutation(len(places)):
                    lv, x, y = places[k]
                    read = slide.read if seed % 2 else slide.through_openslide
                    got = read(lv, x, y, 200, 150)
                    exact = seed % 2 or lv == 0
                    if np.abs(got.astype(int) - wanted[k]).max() > (0 if exact else 30):
                        wrong.append(places[k])
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def damage_tile(path: Path, page_index: int, tile: int) -> None:
    """Overwrite the bytes of one tile."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[page_index]
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x11" * count)


@pytest.mark.parametrize("compression", ["jpeg", "webp"])
def test_one_damaged_tile_leaves_the_rest_of_the_slide(tmp_path, compression):
    path = tmp_path / "slide.tif"
    image = picture(1280, 1024)
    write_pyramid(path, reduced(image, (4,)), compression=compression, mpp=0.25)
    damage_tile(path, 0, 6)
    with open_slide(path) as slide:
        for _ in range(2):
            with pytest.raises(TileError, match="damaged at x = 256, y = 256"):
                slide.read(0, 256, 256, 256, 256)
            good = slide.read(0, 512, 512, 256, 256)
            assert np.abs(good.astype(int) - image[512:768, 512:768]).mean() < 8


@pytest.mark.parametrize("compression", ["jpeg", "webp"])
def test_a_slide_that_is_cut_off_while_open_gives_errors_and_no_crash(tmp_path, compression):
    path = tmp_path / "slide.tif"
    write_pyramid(path, reduced(picture(1280, 1024), (4,)), compression=compression)
    with open_slide(path) as slide:
        with path.open("r+b") as file:
            file.truncate(5000)
        for _ in range(3):
            with pytest.raises(SlideError):
                slide.read(0, 1024, 768, 256, 256)


def test_a_closed_slide_says_so(tmp_path):
    path = tmp_path / "slide.tif"
    write_pyramid(path, [picture(600, 500)])
    Image.fromarray(picture(60, 40)).save(tmp_path / "field.png")
    for slide in (open_slide(path), open_tiff(path), open_slide(tmp_path / "field.png")):
        slide.close()
        with pytest.raises(SlideError, match="closed"):
            slide.read(0, 0, 0, 10, 10)


def test_identity_follows_the_content_and_not_the_name(tmp_path):
    first, copy, other = (tmp_path / n for n in ("a.tif", "b.tif", "c.tif"))
    write_pyramid(first, [picture(900, 700)])
    copy.write_bytes(first.read_bytes())
    changed = bytearray(first.read_bytes())
    place = len(changed) * 3 // 4
    changed[place : place + 30_000] = bytes(30_000)
    other.write_bytes(changed)
    identities = []
    for path in (first, copy):
        with open_slide(path) as slide:
            identities.append(slide.identity)
    with open_tiff(first) as slide:
        identities.append(slide.identity)
    assert len(set(identities)) == 1
    with open_slide(other) as slide:
        assert slide.identity != identities[0]


def test_the_identity_of_a_mirax_slide_follows_its_folder(tmp_path):
    from her2viewer.slides.identity import slide_identity

    index = tmp_path / "case.mrxs"
    index.write_bytes(b"same preview")
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "Slidedat.ini").write_text("[GENERAL]")
    (folder / "Data0000.dat").write_bytes(b"one")
    first = slide_identity(index)
    (folder / "Data0000.dat").write_bytes(b"two")
    assert slide_identity(index) != first


def test_what_the_user_entered_comes_before_what_the_file_says(tmp_path):
    path = tmp_path / "slide.tif"
    write_pyramid(path, [picture(600, 500)], mpp=0.25)
    store = PixelSizeStore()
    with open_slide(path) as slide:
        stated = resolve_pixel_size(slide, store)
        assert stated is not None
        assert stated.mpp == pytest.approx(0.25)
        store.put(slide.identity, 0.5)
    with open_slide(path) as slide:
        entered = resolve_pixel_size(slide, store)
        assert entered is not None
        assert (entered.mpp, entered.source) == (0.5, PixelSizeSource.USER)
