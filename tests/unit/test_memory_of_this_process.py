"""The most memory that a process held is its own, however large the one that started it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

LARGE_MB = 600


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not hand the figure down")
def test_a_small_process_of_a_large_one_says_little() -> None:
    large = np.ones(LARGE_MB << 17)
    code = "from her2viewer.commands.bench_machine import memory_peak; print(memory_peak())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < LARGE_MB / 2
    assert large[-1] == 1
