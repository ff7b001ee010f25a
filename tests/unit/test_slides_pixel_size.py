from __future__ import annotations

import json

import pytest

from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.pixel_size import (
    PixelSizeStore,
    objective_power_from_properties,
    ome_properties,
    pixel_size_from_properties,
)

OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Instrument ID="I:0"><Objective ID="O:0" NominalMagnification="20.0"/></Instrument>
<Image ID="Image:0"><Pixels PhysicalSizeX="{x}" PhysicalSizeXUnit="{unit}" PhysicalSizeY="{x}"
 PhysicalSizeYUnit="{unit}" SizeX="9" SizeY="9"/></Image>
<Image ID="Image:1"><Pixels PhysicalSizeX="99" PhysicalSizeY="99"/></Image></OME>"""


@pytest.mark.parametrize(
    ("properties", "um", "source"),
    [
        ({"openslide.vendor": "aperio", "openslide.mpp-x": "0.25", "openslide.mpp-y": "0.26"}, (0.25, 0.26), "FILE"),
        ({"openslide.vendor": "aperio", "aperio.MPP": "0.499"}, (0.499, 0.499), "VENDOR"),
        ({"tiff.ImageDescription": "Aperio\n9x9|AppMag = 20|MPP = 0.4990|Date = x"}, (0.499, 0.499), "VENDOR"),
        ({"philips.DICOM_PIXEL_SPACING": '"0.000226907" "0.000226891"'}, (0.226891, 0.226907), "VENDOR"),
        ({"ventana.ScanRes": "0.2325"}, (0.2325, 0.2325), "VENDOR"),
        (
            {
                "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_X": "0,2433",
                "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_Y": "0,2434",
            },
            (0.2433, 0.2434),
            "VENDOR",
        ),
        (
            {
                "dicom.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[0]": "0.0005",
                "dicom.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[1]": "0.0004",
            },
            (0.4, 0.5),
            "VENDOR",
        ),
        ({"tiff.ImageDescription": OME.format(x=0.2, unit="µm")}, (0.2, 0.2), "FILE"),
        ({"tiff.ImageDescription": OME.format(x=250, unit="nm")}, (0.25, 0.25), "FILE"),
        ({"tiff.ImageDescription": OME.format(x=0.00025, unit="mm")}, (0.25, 0.25), "FILE"),
        (
            {"tiff.ImageDescription": "ImageJ=1.53\nunit=micron\n", "tiff.XResolution": "4", "tiff.YResolution": "5"},
            (0.25, 0.2),
            "VENDOR",
        ),
        (
            {"tiff.XResolution": "40000", "tiff.YResolution": "20000", "tiff.ResolutionUnit": "centimeter"},
            (0.25, 0.5),
            "RESOLUTION_TAG",
        ),
        # OpenSlide itself works out mpp of a generic TIFF from the tags: still a tag.
        (
            {
                "openslide.vendor": "generic-tiff",
                "openslide.mpp-x": "0.25",
                "tiff.XResolution": "101600",
                "tiff.YResolution": "101600",
                "tiff.ResolutionUnit": "inch",
            },
            (0.25, 0.25),
            "RESOLUTION_TAG",
        ),
    ],
)
def test_each_vendor_states_the_pixel_size_in_its_own_way(properties, um, source):
    found = pixel_size_from_properties(properties)
    assert found is not None
    assert (found.x_um, found.y_um) == pytest.approx(um)
    assert found.source is PixelSizeSource[source]
    assert found.detail


def test_hamamatsu_states_the_physical_width_in_nm():
    found = pixel_size_from_properties({"hamamatsu.PhysicalWidth": "2300000"}, width=10_000)
    assert found is not None
    assert found.mpp == pytest.approx(0.23)


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600, 1])
def test_resolutions_for_printing_are_no_pixel_size(dpi):
    tags = {"tiff.XResolution": str(dpi), "tiff.YResolution": str(dpi), "tiff.ResolutionUnit": "inch"}
    assert pixel_size_from_properties(tags) is None
    assert pixel_size_from_properties({**tags, "openslide.vendor": "generic-tiff", "openslide.mpp-x": "353"}) is None


def test_a_resolution_without_a_unit_is_no_pixel_size():
    tags = {"tiff.XResolution": "40000", "tiff.YResolution": "40000", "tiff.ResolutionUnit": "none"}
    assert pixel_size_from_properties(tags) is None


@pytest.mark.parametrize("text", ["", "abc", "0", "-0.25", "nan", "inf"])
def test_nonsense_is_no_pixel_size(text):
    assert pixel_size_from_properties({"openslide.vendor": "aperio", "openslide.mpp-x": text}) is None
    assert pixel_size_from_properties({"aperio.MPP": text}) is None


def test_an_implausible_value_is_given_back_and_says_so():
    found = pixel_size_from_properties({"openslide.vendor": "dicom", "openslide.mpp-x": "124.2"})
    assert found is not None
    assert not found.plausible


def test_damaged_ome_xml_says_nothing():
    assert ome_properties("<OME><Image>") == {}
    assert ome_properties("no XML at all") == {}


@pytest.mark.parametrize(
    ("properties", "power"),
    [
        ({"openslide.objective-power": "40"}, 40),
        ({"tiff.ImageDescription": "x|AppMag = 20|MPP = 0.5"}, 20),
        (ome_properties(OME.format(x=1, unit="µm")), 20),
        ({"openslide.objective-power": "unknown"}, None),
        ({}, None),
    ],
)
def test_the_objective_is_a_hint(properties, power):
    assert objective_power_from_properties(properties) == power


def test_an_entered_pixel_size_is_kept_with_its_source(own_user_folders):
    PixelSizeStore().put("abc", 0.25)
    PixelSizeStore().put("def", PixelSize(0.3, 0.4, PixelSizeSource.USER))
    kept = PixelSizeStore().get("abc")
    assert kept is not None
    assert (kept.x_um, kept.y_um, kept.source) == (0.25, 0.25, PixelSizeSource.USER)
    other = PixelSizeStore().get("def")
    assert other is not None
    assert (other.x_um, other.y_um) == (0.3, 0.4)
    assert PixelSizeStore().get("unknown") is None
    assert list(own_user_folders.rglob("*.json*")) == [own_user_folders / "data" / "pixel-sizes.json"]


def test_an_entered_pixel_size_can_be_forgotten():
    store = PixelSizeStore()
    store.put("abc", 0.25)
    store.forget("abc")
    assert store.get("abc") is None


def test_an_impossible_pixel_size_is_not_kept():
    store = PixelSizeStore()
    with pytest.raises(ValueError, match="positive"):
        store.put("abc", 0)
    assert store.get("abc") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"slides": 5}', json.dumps({"slides": {"abc": {"x_um": "?"}}})])
def test_a_damaged_store_counts_as_empty_and_works_again(tmp_path, text):
    file = tmp_path / "sizes.json"
    file.write_text(text)
    store = PixelSizeStore(file)
    assert store.get("abc") is None
    store.put("abc", 0.5)
    kept = store.get("abc")
    assert kept is not None
    assert kept.x_um == 0.5
