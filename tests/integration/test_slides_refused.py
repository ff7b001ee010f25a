"""What is no slide is refused with a sentence: what is wrong, and what to do."""

from __future__ import annotations

import contextlib
import gc
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from her2viewer.phantom.pyramid import reduced, write_pyramid
from her2viewer.slides.open import open_slide
from her2viewer.slides.slide import SlideError


def refusal(path: Path) -> str:
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "Traceback" not in sentence
    assert 20 < len(sentence) < 400
    return sentence


def test_a_missing_file(tmp_path):
    assert "There is no file" in refusal(tmp_path / "gone.svs")


def test_a_folder_names_a_slide_inside(tmp_path):
    (tmp_path / "case.svs").write_bytes(b"x")
    assert "case.svs" in refusal(tmp_path)


def test_the_folder_of_a_mirax_slide_names_its_index(tmp_path):
    (tmp_path / "case").mkdir()
    (tmp_path / "case.mrxs").write_bytes(b"x")
    assert "Open case.mrxs" in refusal(tmp_path / "case")


def test_a_mirax_slide_without_its_folder(tmp_path):
    path = tmp_path / "case.mrxs"
    path.write_bytes(b"\xff\x01\x02 preview")
    assert "data folder case is not beside it" in refusal(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_must_not_be_read(tmp_path):
    path = tmp_path / "secret.svs"
    path.write_bytes(b"II*\0")
    path.chmod(0)
    assert "not allowed" in refusal(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><title>404 Not Found</title>", "404 Not Found"),
        (b"\n <HTML><body>Please log in</body>", "web page"),
        (b"just some words\nand more", "text"),
        (b"%PDF-1.7 ...", "PDF"),
        (bytes(5000), "zeros"),
        (b"\x8f\x12\xfe\x00random bytes\xff" * 50, "not an image"),
        (b"II*\0", "cut off"),
        (b"II*\0\xff\xff\xff\x7f", "cut off"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "cut off"),
        (b"\x89PNG\r\n\x1a\n" + b"\1" * 50, "Copy it again"),
    ],
)
def test_a_file_that_is_no_slide_says_what_it_is(tmp_path, content, said):
    path = tmp_path / "slide.svs"
    path.write_bytes(content)
    assert said in refusal(path)


def test_an_archive_is_to_be_unpacked(tmp_path):
    path = tmp_path / "slide.svs"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("slide.svs", "x")
    assert "Unpack" in refusal(path)


@pytest.mark.parametrize("compression", ["jpeg", "webp"])
@pytest.mark.parametrize("part", [0.4, 0.9])
def test_a_slide_that_was_not_copied_to_its_end(tmp_path, compression, part):
    path = tmp_path / "slide.tif"
    image = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    write_pyramid(path, reduced(image, (4,)), compression=compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert "cut off" in refusal(path)


def test_an_image_that_was_not_copied_to_its_end(tmp_path):
    path = tmp_path / "field.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:9000])
    assert "damaged or cut off" in refusal(path)


def test_numbers_that_are_no_colours(tmp_path):
    path = tmp_path / "numbers.tif"
    tifffile.imwrite(path, np.zeros((300, 300), np.complex64), tile=(128, 128))
    assert "cannot be shown" in refusal(path)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed on Linux only")
def test_a_slide_that_is_refused_is_let_go_at_once(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tif"
    rng = np.random.default_rng(1)
    full = rng.integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for level, pixels in enumerate((full, full[::4, ::4])):
            kind = {"subfiletype": 1} if level else {}
            writer.write(pixels, tile=(256, 256), photometric="rgb", compression="jpeg", metadata=None, **kind)
    with tifffile.TiffFile(path) as tiff:
        # The tile in the middle, which is decoded when the slide is opened.
        page = tiff.pages[0]
        places = [(page.dataoffsets[i], page.databytecounts[i]) for i in (5, 6, 9, 10)]
    data = bytearray(path.read_bytes())
    for offset, count in places:
        data[offset : offset + count] = bytes(count)
    path.write_bytes(data)

    def held() -> list[str]:
        names = []
        for entry in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                names.append(os.readlink(f"/proc/self/fd/{entry}"))
        return [name for name in names if name == str(path)]

    gc.disable()
    try:
        with pytest.raises(SlideError):
            open_slide(path)
        assert held() == []
    finally:
        gc.enable()
