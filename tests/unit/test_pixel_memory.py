"""Memory for pictures: none overlaps another, and it is used again when they are gone."""

from __future__ import annotations

import gc
import random
import threading

import numpy as np

from her2viewer.slides.pixel_memory import SLAB, SPARE, PixelMemory


def test_no_two_pictures_share_a_byte() -> None:
    memory, rng = PixelMemory(), random.Random(1)
    kept: list[tuple[int, np.ndarray]] = []
    for i in range(400):
        picture = memory.empty(rng.randint(1, 300), rng.randint(1, 300), 4)
        picture[...] = i % 251
        kept.append((i % 251, picture))
        if rng.random() < 0.4:
            kept.pop(rng.randrange(len(kept)))
    assert all((picture == value).all() for value, picture in kept)


def test_pictures_are_what_opencv_and_qt_take() -> None:
    picture = PixelMemory().empty(7, 5, 4)
    assert picture.shape == (7, 5, 4)
    assert picture.dtype == np.uint8
    assert picture.flags["C_CONTIGUOUS"]
    assert picture.flags["WRITEABLE"]
    assert picture.ctypes.data % 64 == 0


def test_a_large_picture_has_memory_of_its_own() -> None:
    memory = PixelMemory()
    assert memory.empty(SLAB).shape == (SLAB,)
    assert memory.held == 0


def test_memory_is_used_again_and_only_a_little_is_kept_spare() -> None:
    memory = PixelMemory()
    kept = [memory.empty(256, 256, 4) for _ in range(20 * SLAB // (256 * 256 * 4))]
    assert memory.held == 20 * SLAB
    addresses = {picture.ctypes.data for picture in kept}
    del kept[:-1]
    gc.collect()
    assert memory.held == (SPARE + 1) * SLAB
    assert memory.empty(512, 512, 4).ctypes.data in addresses
    assert memory.held == (SPARE + 1) * SLAB


def test_memory_that_was_touched_ahead_is_taken_first() -> None:
    memory = PixelMemory()
    assert [memory.prepare(3) for _ in range(4)] == [True, True, True, False]
    assert memory.held == 3 * SLAB
    kept = [memory.empty(SLAB // 4) for _ in range(3 * 4)]
    assert memory.held == 3 * SLAB, "no memory but what was ready"
    assert len({picture.ctypes.data for picture in kept}) == 12
    assert memory.prepare(1)


def test_no_more_is_touched_ahead_than_is_kept_spare() -> None:
    memory = PixelMemory()
    while memory.prepare(1000):
        pass
    assert memory.held == SPARE * SLAB


def test_threads_may_take_and_drop_at_the_same_time() -> None:
    memory = PixelMemory()
    wrong: list[int] = []

    def work(value: int) -> None:
        kept: list[np.ndarray] = []
        for _ in range(300):
            picture = memory.empty(150, 200, 4)
            picture[...] = value
            kept.append(picture)
            if len(kept) > 20:
                wrong.extend(value for p in kept[:10] if not (p == value).all())
                del kept[:10]

    threads = [threading.Thread(target=work, args=(i + 1,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gc.collect()
    assert memory.held <= (SPARE + 1) * SLAB
