"""The tiles of a canvas take a tenth of the memory at most."""

from __future__ import annotations

import pytest

from her2viewer.viewer.canvas import budget
from her2viewer.viewer.canvas.budget import SHARE_COUNTED, Budget, default_budget, installed_memory
from her2viewer.viewer.canvas.loader import TileLoader


@pytest.fixture
def machine(monkeypatch):
    """Sets how much memory the machine seems to have."""

    def has(memory: int | None) -> Budget:
        monkeypatch.setattr(budget, "installed_memory", lambda: memory)
        default_budget.cache_clear()
        return default_budget()

    yield has
    default_budget.cache_clear()


@pytest.mark.parametrize(
    ("memory", "total"),
    [(64 << 30, 1 << 30), (8 << 30, (8 << 30) // 10), (512 << 20, 128 << 20), (None, 1 << 30)],
)
def test_the_caches_take_a_tenth_of_the_memory_and_a_gibibyte_at_most(machine, memory, total) -> None:
    split = machine(memory)
    # The rest is left to what lies between the pictures in memory.
    assert split.screen + split.decoded == pytest.approx(SHARE_COUNTED * total, abs=2)
    assert split.screen > split.decoded > 0


def test_this_machine_says_how_much_memory_it_has() -> None:
    memory = installed_memory()
    assert memory is not None
    assert 256 << 20 < memory < 1 << 50


def test_the_canvas_keeps_to_the_budget(machine, gated_slide, qtbot) -> None:
    split = machine(2 << 30)
    loader = TileLoader(1)
    loader.set_source(gated_slide)
    assert loader._renderer is not None
    assert loader._renderer._blocks.max_bytes == split.decoded
    changed = loader._renderer.with_transform(lambda pixels: pixels)
    assert changed._blocks is loader._renderer._blocks
    loader.shutdown()
