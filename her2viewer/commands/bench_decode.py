"""Decode rates of the finest level in one run: a raw decoder, this reader and OpenSlide."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from her2viewer.scoring.runtime.local import usable_cores
from her2viewer.slides.slide import Slide

TILES = 120
"""Tiles that are decoded in each turn."""
ROUNDS = 15
Place = tuple[int, int]
"""Column and row of a whole tile."""
Decode = Callable[[Place], object]


def decode_rates(path: Path, slide: Slide, seconds: float) -> dict[str, Any]:
    """Megapixels a second of each way on one and on all cores, ways in turn, so that load meets all of them.

    Args:
        path: the file of ``slide``.
        slide: open; it is opened afresh here, because readers keep what they have decoded.
        seconds: about how long it takes.

    Returns:
        ``threads``: for each number of threads ``raw``, ``reader`` and ``openslide`` in Mpx/s (None where a way
        cannot read the file), and the ratios ``of_raw`` and ``of_openslide`` of the reader, medians over all rounds.
    """
    info = slide.levels[0]
    columns, rows = info.width // info.tile_width, info.height // info.tile_height
    # Plain images have no tiles in the file and may be smaller than ours.
    everything = [(c, r) for r in range(max(1, rows)) for c in range(max(1, columns))]
    places = random.Random(1).sample(everything, min(TILES, len(everything)))
    counts = sorted({1, usable_cores()})
    spans: dict[tuple[int, str], list[float]] = {}
    end = time.monotonic() + seconds
    for number in range(ROUNDS):
        if number >= 3 and time.monotonic() > end:
            break
        for count in counts:
            for name, make in (("raw", _raw), ("reader", _reader), ("openslide", _openslide)):
                with ExitStack() as stack:
                    decode = make(path, slide, places, stack)
                    if decode is not None:
                        spans.setdefault((count, name), []).append(_time(decode, places, count))
    megapixels = len(places) * info.tile_width * info.tile_height / 1e6
    return {
        "tiles": len(places),
        "tile": [info.tile_width, info.tile_height],
        "raw_decoder": _raw_name(path, slide),
        "threads": {str(count): _rates(spans, count, megapixels) for count in counts},
    }


def raw_rates(path: Path, slide: Slide, level: int, share: float = 1.0) -> dict[str, float]:
    """Rates of the raw decoder alone on tiles of one level, which may be coded in more bytes than those of another.

    Args:
        path: the file of ``slide``.
        slide: open.
        level: of the slide.
        share: of ``TILES`` that are decoded.

    Returns:
        Mpx/s for each number of threads, one and all cores; empty where no raw decoder knows the level.
    """
    info = slide.levels[level]
    columns, rows = info.width // info.tile_width, info.height // info.tile_height
    everything = [(c, r) for r in range(rows) for c in range(columns)]
    places = random.Random(1).sample(everything, min(max(16, round(share * TILES)), len(everything)))
    megapixels = len(places) * info.tile_width * info.tile_height / 1e6
    with ExitStack() as stack:
        decode = _raw(path, slide, places, stack, level) if places else None
        if decode is None:
            return {}
        counts = sorted({1, usable_cores()})
        spans = {count: [_time(decode, places, count) for _ in range(5)] for count in counts}
    return {str(count): megapixels / statistics.median(taken) for count, taken in spans.items()}


def _rates(spans: dict[tuple[int, str], list[float]], count: int, megapixels: float) -> dict[str, float | None]:
    ours = spans[count, "reader"]

    def rate(name: str) -> float | None:
        taken = spans.get((count, name))
        return megapixels / statistics.median(taken) if taken else None

    def ratio(name: str) -> float | None:
        taken = spans.get((count, name))
        # Round by round: what slowed one way down will have slowed the other.
        return statistics.median(t / o for t, o in zip(taken, ours, strict=True)) if taken else None

    return {
        "raw": rate("raw"),
        "reader": rate("reader"),
        "openslide": rate("openslide"),
        "of_raw": ratio("raw"),
        "of_openslide": ratio("openslide"),
    }


def _time(decode: Decode, places: Sequence[Place], threads: int) -> float:
    def part(mine: Sequence[Place]) -> None:
        for place in mine:
            decode(place)

    if threads == 1:
        begun = time.perf_counter()
        part(places)
        return time.perf_counter() - begun
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(time.sleep, [0.001] * threads))
        begun = time.perf_counter()
        list(pool.map(part, [places[i::threads] for i in range(threads)]))
        return time.perf_counter() - begun


def _reader(path: Path, slide: Slide, places: Sequence[Place], stack: ExitStack) -> Decode:
    from her2viewer.slides.open import open_slide

    fresh = stack.enter_context(open_slide(path))
    width, height = slide.levels[0].tile_width, slide.levels[0].tile_height
    return lambda at: fresh.read(0, at[0] * width, at[1] * height, width, height)


def _openslide(path: Path, slide: Slide, places: Sequence[Place], stack: ExitStack) -> Decode | None:
    import openslide

    try:
        handle = openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError):
        return None
    stack.callback(handle.close)
    handle.set_cache(openslide.OpenSlideCache(0))
    width, height = slide.levels[0].tile_width, slide.levels[0].tile_height
    left, top = slide.bounds_offset
    return lambda at: handle.read_region((left + at[0] * width, top + at[1] * height), 0, (width, height))


def _page(path: Path, slide: Slide, level: int = 0) -> Any:
    """tifffile's page of a level; None where the file is no tiled TIFF, or has it elsewhere."""
    import tifffile

    size = (slide.levels[level].width, slide.levels[level].height)
    with suppress(Exception), tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            if page.is_tiled and (page.imagewidth, page.imagelength) == size:
                # Made on first use from the open file.
                page.keyframe.decode  # noqa: B018
                return page
    return None


def _raw(path: Path, slide: Slide, places: Sequence[Place], stack: ExitStack, level: int = 0) -> Decode | None:
    """Bytes in memory to RGB by nothing but the decoder."""
    page = _page(path, slide, level)
    if page is None:
        return _raw_dicom(path, slide, places, level)
    across = -(-page.imagewidth // page.tilewidth)
    data = {}
    with path.open("rb") as file:
        for column, row in places:
            index = row * across + column
            file.seek(page.dataoffsets[index])
            data[column, row] = (index, file.read(page.databytecounts[index]))
    head = _jpeg_head(page)
    if head is not None:
        import simplejpeg

        whole = {place: head + bytes_[2:] for place, (_, bytes_) in data.items() if bytes_}
        with suppress(ValueError):
            simplejpeg.decode_jpeg(next(iter(whole.values())))
            return lambda at: simplejpeg.decode_jpeg(whole[at]) if at in whole else None
    tables, header = page.jpegtables, page.keyframe.jpegheader
    decode, plain = page.keyframe.decode, int(page.compression) == 1

    def generally(at: Place) -> object:
        index, bytes_ = data[at]
        samples = decode(bytes_, index, jpegtables=tables, jpegheader=header)[0] if bytes_ else None
        # What is not compressed is only looked at by the decoder; whoever wants pixels copies them.
        return samples.copy() if plain and samples is not None else samples

    return generally


def _raw_dicom(path: Path, slide: Slide, places: Sequence[Place], level: int = 0) -> Decode | None:
    """The same for JPEG frames of a DICOM slide; None for other files."""
    if slide.properties.get("openslide.vendor") != "dicom":
        return None
    import simplejpeg

    from her2viewer.slides.cache import ByteCache
    from her2viewer.slides.dicom_level import DicomLevel, series_of

    with ExitStack() as stack, suppress(Exception):
        size = (slide.levels[level].width, slide.levels[level].height)
        parts = next(p for p in series_of(path) if p[0].size == size)
        tiles = DicomLevel(parts, slide.background, ByteCache(0))
        stack.callback(tiles.close)
        across = parts[0].tiles[0]
        data = {(column, row): tiles.encoded(row * across + column) for column, row in places}
        simplejpeg.decode_jpeg(next(iter(data.values())))
        return lambda at: simplejpeg.decode_jpeg(data[at])
    return None


def _jpeg_head(page: Any) -> bytes | None:
    """What comes before the tile's own bytes; None where the tiles are no JPEG."""
    if int(page.compression) != 7 or page.samplesperpixel != 3:
        return None
    tables: bytes = page.jpegtables or b"\xff\xd8\xff\xd9"
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" if int(page.photometric) == 2 else b""
    return tables[:2] + adobe + tables[2:-2]


def _raw_name(path: Path, slide: Slide) -> str | None:
    page = _page(path, slide)
    if page is None:
        return "simplejpeg" if _raw_dicom(path, slide, [(0, 0)]) is not None else None
    return "simplejpeg" if _jpeg_head(page) is not None else f"imagecodecs ({page.compression.name})"
