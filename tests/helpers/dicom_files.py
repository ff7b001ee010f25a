"""Small DICOM slides, written for the tests: every compression, table and order of frames that readers meet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence as DicomSequence

from her2viewer.slides.dicom_file import WHOLE_SLIDE

UNCOMPRESSED = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
RUN_LENGTHS = "1.2.840.10008.1.2.5"
SIDE = 64
MPP = 0.25


def grain(width: int, height: int, seed: int = 4) -> np.ndarray:
    """Colours that differ everywhere, smooth enough for JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 240, (height // 24 + 3, width // 24 + 3, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def tiles_of(image: np.ndarray, side: int = SIDE) -> list[np.ndarray]:
    """Square tiles row by row, filled up with grey."""
    height, width = image.shape[:2]
    full = np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), constant_values=128)
    return [
        np.ascontiguousarray(full[y : y + side, x : x + side])
        for y in range(0, full.shape[0], side)
        for x in range(0, full.shape[1], side)
    ]


def encoded(tile: np.ndarray, syntax: str, photometric: str) -> bytes:
    """One tile as a frame."""
    if syntax == JPEG:
        if photometric == "RGB":
            return bytes(imagecodecs.jpeg8_encode(tile, level=90, colorspace="RGB", outcolorspace="RGB"))
        subsampling = "422" if photometric == "YBR_FULL_422" else "444"
        return bytes(imagecodecs.jpeg8_encode(tile, level=90, subsampling=subsampling))
    if syntax in {JPEG_2000, JPEG_2000_LOSSLESS}:
        lossless = syntax == JPEG_2000_LOSSLESS
        mct = photometric != "RGB"
        level = 0 if lossless else 40
        return bytes(imagecodecs.jpeg2k_encode(tile, level=level, codecformat="j2k", mct=mct, reversible=lossless))
    if syntax == JPEG_LS:
        return bytes(imagecodecs.jpegls_encode(tile))
    if syntax == RUN_LENGTHS:
        from pydicom.pixels.encoders.native import _encode_frame

        return _rle(tile, _encode_frame)
    return tile.tobytes()


def _rle(tile: np.ndarray, encode: object) -> bytes:
    from pydicom.pixels.encoders.base import EncodeRunner
    from pydicom.uid import RLELossless

    runner = EncodeRunner(RLELossless)
    runner.set_options(
        rows=tile.shape[0],
        columns=tile.shape[1],
        number_of_frames=1,
        samples_per_pixel=3,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="RGB",
        planar_configuration=0,
    )
    return bytes(encode(tile.tobytes(), runner))  # type: ignore[operator]


def write_image(
    path: Path,
    image: np.ndarray,
    *,
    syntax: str = JPEG,
    photometric: str = "YBR_FULL_422",
    table: str = "basic",
    order: str = "full",
    missing: Sequence[int] = (),
    series: str = "1.2.3.4",
    kind: str = "VOLUME",
    mpp: float = MPP,
    part: tuple[int, int] | None = None,
    frames: Sequence[bytes] | None = None,
    side: int = SIDE,
    planar: bool = False,
    fragments: int = 1,
    icc: bytes = b"",
    samples: int = 3,
) -> Path:
    """One DICOM file of one level.

    Args:
        path: where to.
        image: the whole level, (h, w, 3) uint8.
        syntax: UID of the transfer syntax.
        photometric: interpretation that the header states and the codec is told.
        table: of offsets: ``basic``, ``extended`` or ``none``.
        order: ``full`` (TILED_FULL), ``sparse`` (positions for each frame, last tile first) or ``sparse, undefined``
            (the same, in sequences of undefined length).
        missing: indices of tiles that a sparse file leaves out.
        series: UID of the series.
        kind: third value of the image type.
        mpp: um per px.
        part: (number from 1, of how many) in a concatenation.
        frames: encoded tiles; None encodes ``image``.
        side: of the tiles, px.
        planar: colour by colour, for uncompressed ones.
        fragments: parts that each frame is divided into.
        icc: colour profile.
        samples: how many the header says that a pixel has.
    """
    height, width = image.shape[:2]
    given = list(frames) if frames is not None else []
    if frames is None:
        for tile in tiles_of(image, side):
            given.append(
                encoded(np.ascontiguousarray(tile.transpose(2, 0, 1)) if planar else tile, syntax, photometric)
            )
    places = list(range(len(given)))
    if order != "full":
        places = [p for p in reversed(places) if p not in missing]
    first = 0
    if part is not None:
        number, count = part
        edges = [round(i * len(places) / count) for i in range(count + 1)]
        first = edges[number - 1]
        places = places[first : edges[number]]
    ds = _header(width, height, side, series=series, kind=kind, mpp=mpp)
    ds.PhotometricInterpretation = photometric
    ds.PlanarConfiguration = int(planar)
    ds.SamplesPerPixel = samples
    ds.NumberOfFrames = len(places)
    ds.SOPInstanceUID = f"{series}.{width}.{height}.{part[0] if part else 0}.{len(kind)}"
    if part is not None:
        ds.ConcatenationUID = f"{series}.{width}.9"
        ds.SOPInstanceUIDOfConcatenationSource = f"{series}.{width}.{height}.8"
        ds.InConcatenationNumber, ds.InConcatenationTotalNumber = part
        ds.ConcatenationFrameOffsetNumber = first
    if icc:
        ds.OpticalPathSequence[0].ICCProfile = icc
    if order == "full":
        ds.DimensionOrganizationType = "TILED_FULL"
    else:
        ds.DimensionOrganizationType = "TILED_SPARSE"
        across = -(-width // side)
        ds.PerFrameFunctionalGroupsSequence = DicomSequence(
            [_position(p % across, p // across, side) for p in places]
        )
        if order == "sparse, undefined":
            ds["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
            for item in ds.PerFrameFunctionalGroupsSequence:
                item.is_undefined_length_sequence_item = True
    chosen = [given[p] for p in places]
    if syntax == UNCOMPRESSED:
        ds.PixelData = b"".join(chosen)
    elif table == "extended":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(chosen)
    else:
        ds.PixelData = encapsulate(chosen, fragments_per_frame=fragments, has_bot=table == "basic")
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = WHOLE_SLIDE
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def _header(width: int, height: int, side: int, *, series: str, kind: str, mpp: float) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = WHOLE_SLIDE
    ds.ImageType = ["ORIGINAL", "PRIMARY", kind, "RESAMPLED" if kind == "THUMBNAIL" else "NONE"]
    ds.Modality = "SM"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{series}.1", series
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.Rows = ds.Columns = side
    ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = width, height
    ds.TotalPixelMatrixFocalPlanes = ds.NumberOfOpticalPaths = 1
    measures, group, path = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [mpp / 1000, mpp / 1000]
    measures.SliceThickness = 0.001
    group.PixelMeasuresSequence = DicomSequence([measures])
    ds.SharedFunctionalGroupsSequence = DicomSequence([group])
    path.OpticalPathIdentifier = "0"
    path.ObjectiveLensPower = 40
    ds.OpticalPathSequence = DicomSequence([path])
    return ds


def _position(column: int, row: int, side: int) -> Dataset:
    place, group = Dataset(), Dataset()
    place.ColumnPositionInTotalImagePixelMatrix = column * side + 1
    place.RowPositionInTotalImagePixelMatrix = row * side + 1
    place.XOffsetInSlideCoordinateSystem = place.YOffsetInSlideCoordinateSystem = 0
    place.ZOffsetInSlideCoordinateSystem = 0
    group.PlanePositionSlideSequence = DicomSequence([place])
    return group
