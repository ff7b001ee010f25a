"""The real slides: each opens, or is refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from her2viewer.domain.pixelsize import PixelSizeSource
from her2viewer.slides.open import open_slide
from her2viewer.slides.openslide_reader import OpenSlideSlide
from her2viewer.slides.slide import SlideError

OPENS = {
    "gastric-tma/gastric_tma9.svs": ("Aperio SVS", 0.25, 6),
    "whole-slide/cmu_small_region.svs": ("Aperio SVS", 0.499, 1),
    "whole-slide/tcga_no_mpp.svs": ("Aperio SVS", None, 2),
    "whole-slide/cmu_embedded_icc.tif": ("Aperio SVS", 0.499, 1),
    "whole-slide/cmu_icc_ignored.tif": ("Aperio SVS", 0.499, 1),
    "whole-slide/tiled_no_mpp.tif": ("Tiled TIFF", None, 3),
    "whole-slide/dicom_mpp_124.dcm": ("DICOM slide", 124.2, 1),
    "whole-slide/cmu_mpp_100x_too_small.tiff": ("Tiled TIFF", 0.00499, 1),
    "whole-slide/os1_he.ome.tif": ("OME-TIFF", 0.2271, 1),
    "whole-slide/os2_ki67_ndpi.ome.tif": ("OME-TIFF", 0.2271, 1),
    "whole-slide/os2_ki67_vsi.ome.tif": ("OME-TIFF", 0.346, 1),
    "images/skimage_ihc.png": ("PNG image", None, 1),
    "images/kidney-48-5.tif": ("TIFF image", None, 1),
    "unreadable/cmu_jp2.tiff": ("Tiled TIFF", 0.00499, 1),
    "unreadable/cmu_webp.tiff": ("Tiled TIFF", 0.00499, 1),
    "unreadable/cmu_ybr_full.dcm": ("DICOM slide", 0.499, 1),
    "unreadable/sm_image_jpegls.dcm": ("DICOM slide", 0.499, 1),
}
REFUSED = {
    "unreadable/broken-html.svs": "web page",
    "unreadable/broken.svs": "text",
    "unreadable/broken__e2c24c.svs": "text",
    "gastric-tma/gastric_tma9.csv": "text",
    "geojson/qupath05_export.geojson": "text",
}


@pytest.mark.parametrize("name", OPENS)
def test_a_real_slide_opens_with_format_pixel_size_and_levels(shared_slides, name):
    form, mpp, levels = OPENS[name]
    with open_slide(shared_slides / name) as slide:
        assert (slide.format, len(slide.levels)) == (form, levels)
        if mpp is None:
            assert slide.pixel_size is None
        else:
            assert slide.pixel_size is not None
            assert slide.pixel_size.mpp == pytest.approx(mpp, rel=1e-3)
        for level, info in enumerate(slide.levels):
            middle = slide.read(level, info.width // 2 - 50, info.height // 2 - 50, 100, 100)
            assert middle.shape == (100, 100, 3)
            assert middle.dtype == np.uint8
            # That DICOM slide is black, bar its size.
            assert middle.std() > 0 or slide.format == "DICOM slide"


@pytest.mark.parametrize("name", REFUSED)
def test_an_unreadable_file_is_refused_in_words(shared_slides, name):
    with pytest.raises(SlideError, match=REFUSED[name]):
        open_slide(shared_slides / name)


def test_every_file_is_listed_above(shared_slides):
    found = {p.relative_to(shared_slides).as_posix() for p in shared_slides.glob("*/*")}
    assert found == OPENS.keys() | REFUSED.keys()


def test_implausible_pixel_sizes_say_so(shared_slides):
    for name in ("dicom_mpp_124.dcm", "cmu_mpp_100x_too_small.tiff"):
        with open_slide(shared_slides / "whole-slide" / name) as slide:
            assert slide.pixel_size is not None
            assert not slide.pixel_size.plausible
    with open_slide(shared_slides / "whole-slide" / "cmu_mpp_100x_too_small.tiff") as slide:
        assert slide.pixel_size is not None
        assert slide.pixel_size.source is PixelSizeSource.RESOLUTION_TAG


def test_label_and_macro_are_read(shared_slides):
    with open_slide(shared_slides / "whole-slide" / "cmu_small_region.svs") as slide:
        images = slide.associated_images()
    assert set(images) == {"label", "macro", "thumbnail"}
    assert images["macro"].shape == (431, 1280, 3)


def test_direct_tiles_are_openslides_own_pixels_on_real_slides(shared_slides):
    for name in ("gastric-tma/gastric_tma9.svs", "whole-slide/cmu_small_region.svs", "whole-slide/tcga_no_mpp.svs"):
        with open_slide(shared_slides / name) as slide:
            assert isinstance(slide, OpenSlideSlide)
            assert slide.direct_levels == tuple(range(len(slide.levels)))
            for x, y in ((500, 700), (1300, 333), (0, 0)):
                got = slide.read(0, x, y, 700, 600)
                assert np.array_equal(got, slide.through_openslide(0, x, y, 700, 600))
