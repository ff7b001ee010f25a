"""Pixel size of a slide: from the file, else from what vendors write, else from what the user entered once."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from her2viewer import userdirs
from her2viewer.domain.pixelsize import PixelSize, PixelSizeSource
from her2viewer.slides.slide import Slide

UM_PER_UNIT: Mapping[str, float] = {
    "nm": 1e-3,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "\\u00b5m": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "inch": 25400.0,
    "in": 25400.0,
}

PRINT_DPI = (1, 28.35, 37.8, 72, 90, 96, 100, 118.11, 120, 144, 150, 180, 200, 240, 300, 360, 400, 600, 720, 1200)
"""Resolutions that programs write when they know none; they say nothing of a microscope."""

Pair = tuple[float, float]


def pixel_size_from_properties(properties: Mapping[str, str], width: int = 0) -> PixelSize | None:
    """The pixel size that a file states, following the chain of properties that vendors use.

    Args:
        properties: names as OpenSlide gives them; the other readers use the same names.
        width: level-0 px across the whole file; some vendors state only the physical width.

    Returns:
        None where the file says nothing, or only a resolution for printing. An implausible value is returned:
        ``PixelSize.plausible`` is False then, and the user is asked.
    """
    generic = properties.get("openslide.vendor", "generic-tiff") == "generic-tiff"
    stated = _pair(properties, "openslide.mpp-x", "openslide.mpp-y")
    if stated is not None and not generic:
        return PixelSize(*stated, PixelSizeSource.FILE, "openslide.mpp-x, openslide.mpp-y")
    for detail, read in _VENDOR_CHAIN:
        found = read(properties)
        if found is not None:
            return PixelSize(*found, PixelSizeSource.FILE if detail == "OME-XML" else PixelSizeSource.VENDOR, detail)
    physical = _number(properties.get("hamamatsu.PhysicalWidth"))
    if physical and width:
        return PixelSize(physical / width / 1000, physical / width / 1000, PixelSizeSource.VENDOR, "hamamatsu")
    return _from_resolution_tags(properties)


def objective_power_from_properties(properties: Mapping[str, str]) -> float | None:
    """Magnification of the objective as the file states it: a hint when the pixel size is asked, no more."""
    for name in (
        "openslide.objective-power",
        "aperio.AppMag",
        "hamamatsu.SourceLens",
        "leica.objective",
        "mirax.GENERAL.OBJECTIVE_MAGNIFICATION",
        "trestle.Objective Power",
        "sakura.NominalLensMagnification",
        "ome.NominalMagnification",
        "dicom.OpticalPathSequence[0].ObjectiveLensPower",
    ):
        value = _number(properties.get(name))
        if value:
            return value
    match = re.search(r"\bAppMag\s*=\s*([\d.]+)", properties.get("tiff.ImageDescription", ""))
    return _number(match[1]) if match else None


def ome_properties(description: str) -> dict[str, str]:
    """``ome.*`` properties of the first image of an OME-XML description; empty where it is none."""
    if "<OME" not in description[:4096]:
        return {}
    try:
        root = ElementTree.fromstring(description.encode())
    except (ElementTree.ParseError, ValueError):
        return {}
    found: dict[str, str] = {}
    pixels = root.find(".//{*}Image/{*}Pixels")
    if pixels is not None:
        for name in ("PhysicalSizeX", "PhysicalSizeXUnit", "PhysicalSizeY", "PhysicalSizeYUnit"):
            if name in pixels.attrib:
                found[f"ome.{name}"] = pixels.attrib[name]
    objective = root.find(".//{*}Objective")
    if objective is not None and "NominalMagnification" in objective.attrib:
        found["ome.NominalMagnification"] = objective.attrib["NominalMagnification"]
    return found


def _number(text: str | None) -> float | None:
    """A positive finite number, or None."""
    try:
        value = float((text or "").replace(",", ".").strip().strip('"'))
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def _pair(properties: Mapping[str, str], name_x: str, name_y: str, factor: float = 1.0) -> Pair | None:
    x, y = _number(properties.get(name_x)), _number(properties.get(name_y))
    if x is None and y is None:
        return None
    return ((x or y or 0) * factor, (y or x or 0) * factor)


def _aperio(properties: Mapping[str, str]) -> Pair | None:
    value = _number(properties.get("aperio.MPP"))
    if value is None:
        match = re.search(r"\|\s*MPP\s*=\s*([\d.]+)", properties.get("tiff.ImageDescription", ""))
        value = _number(match[1]) if match else None
    return None if value is None else (value, value)


def _ome(properties: Mapping[str, str]) -> Pair | None:
    ome = (
        properties
        if "ome.PhysicalSizeX" in properties
        else ome_properties(properties.get("tiff.ImageDescription", ""))
    )
    sizes = []
    for axis in "XY":
        value = _number(ome.get(f"ome.PhysicalSize{axis}"))
        unit = UM_PER_UNIT.get(ome.get(f"ome.PhysicalSize{axis}Unit", "µm").lower())
        if value is not None and unit is not None:
            sizes.append(value * unit)
    return (sizes[0], sizes[-1]) if sizes else None


def _philips(properties: Mapping[str, str]) -> Pair | None:
    text = properties.get("philips.DICOM_PIXEL_SPACING", "")
    values = [_number(part) for part in text.replace('"', " ").split()]
    if len(values) != 2 or values[0] is None or values[1] is None:
        return None
    # DICOM gives the distance between rows (y) first, in mm.
    return (values[1] * 1000, values[0] * 1000)


def _dicom(properties: Mapping[str, str]) -> Pair | None:
    stem = "dicom.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing"
    return _pair(properties, f"{stem}[1]", f"{stem}[0]", 1000)


def _ventana(properties: Mapping[str, str]) -> Pair | None:
    value = _number(properties.get("ventana.ScanRes"))
    return None if value is None else (value, value)


def _mirax(properties: Mapping[str, str]) -> Pair | None:
    stem = "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_"
    return _pair(properties, f"{stem}X", f"{stem}Y")


def _imagej(properties: Mapping[str, str]) -> Pair | None:
    description = properties.get("tiff.ImageDescription", "")
    if not description.startswith("ImageJ="):
        return None
    match = re.search(r"^unit=(.+?)\s*$", description, re.MULTILINE)
    unit = UM_PER_UNIT.get(match[1].lower()) if match else None
    per_unit = _pair(properties, "tiff.XResolution", "tiff.YResolution")
    if unit is None or per_unit is None:
        return None
    return (unit / per_unit[0], unit / per_unit[1])


_VENDOR_CHAIN: tuple[tuple[str, Callable[[Mapping[str, str]], Pair | None]], ...] = (
    ("aperio.MPP", _aperio),
    ("OME-XML", _ome),
    ("philips.DICOM_PIXEL_SPACING", _philips),
    ("dicom PixelSpacing", _dicom),
    ("ventana.ScanRes", _ventana),
    ("mirax.MICROMETER_PER_PIXEL", _mirax),
    ("ImageJ", _imagej),
)


def _from_resolution_tags(properties: Mapping[str, str]) -> PixelSize | None:
    per_unit = _pair(properties, "tiff.XResolution", "tiff.YResolution")
    unit = UM_PER_UNIT.get(properties.get("tiff.ResolutionUnit", "none"))
    if per_unit is None or unit is None:
        return None
    size = (unit / per_unit[0], unit / per_unit[1])
    if _for_printing(25400 / size[0]) or per_unit[0] <= 1:
        return None
    return PixelSize(*size, PixelSizeSource.RESOLUTION_TAG, "XResolution, YResolution")


def _for_printing(dpi: float) -> bool:
    return any(abs(dpi / known - 1) < 0.005 for known in PRINT_DPI)


class PixelSizeStore:
    """Pixel sizes that users entered, by slide identity, in one JSON file of the user's data folder."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or userdirs.data_dir() / "pixel-sizes.json"
        self._lock = threading.Lock()

    def get(self, identity: str) -> PixelSize | None:
        """What was entered for that slide, or None."""
        entry = self._load().get(identity)
        if not isinstance(entry, dict):
            return None
        try:
            return PixelSize(
                float(entry["x_um"]), float(entry["y_um"]), PixelSizeSource.USER, str(entry.get("entered", ""))
            )
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, identity: str, size: PixelSize | float) -> PixelSize:
        """Keep what the user entered, um per level-0 px; gives it back with its source.

        Raises:
            ValueError: not a positive size.
            OSError: the user's data folder cannot be written.
        """
        entered = "entered " + time.strftime("%Y-%m-%d %H:%M")
        x_um, y_um = (size.x_um, size.y_um) if isinstance(size, PixelSize) else (float(size), float(size))
        size = PixelSize(x_um, y_um, PixelSizeSource.USER, entered)
        with self._lock:
            slides = self._load()
            slides[identity] = {"x_um": size.x_um, "y_um": size.y_um, "entered": entered}
            self._save(slides)
        return size

    def forget(self, identity: str) -> None:
        """Drop what was entered for that slide.

        Raises:
            OSError: the user's data folder cannot be written.
        """
        with self._lock:
            slides = self._load()
            if slides.pop(identity, None) is not None:
                self._save(slides)

    def _load(self) -> dict[str, object]:
        try:
            data = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        slides = data.get("slides") if isinstance(data, dict) else None
        return dict(slides) if isinstance(slides, dict) else {}

    def _save(self, slides: Mapping[str, object]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=self._file.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": 1, "slides": slides}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def resolve_pixel_size(slide: Slide, store: PixelSizeStore) -> PixelSize | None:
    """What the user once entered for this slide, else what the file says, else None (then the user is asked)."""
    return store.get(slide.identity) or slide.pixel_size
