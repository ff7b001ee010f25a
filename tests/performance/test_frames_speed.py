"""Messages with arrays over the pipe of the scoring process (decision 0003), beside copying the array in memory."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from her2viewer.scoring.frames import FrameReader, FrameWriter

_ECHO = """
import os
from her2viewer.scoring.frames import FrameReader, FrameWriter
reader, writer = FrameReader(os.fdopen(0, "rb", buffering=0)), FrameWriter(os.fdopen(1, "wb", buffering=1 << 16))
import numpy as np
while True:
    try:
        size = reader.receive()
    except EOFError:
        break
    writer.send(np.ones(size, np.float32))
"""


@pytest.mark.parametrize("megabytes", [0.4, 4, 40])
def test_an_array_comes_back_over_the_pipe(benchmark, megabytes: float) -> None:  # type: ignore[no-untyped-def]
    size = int(megabytes * 1e6 / 4)
    with subprocess.Popen([sys.executable, "-c", _ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        writer, reader = FrameWriter(process.stdin), FrameReader(process.stdout)

        def round_trip() -> np.ndarray:
            writer.send(size)
            return reader.receive()

        array = round_trip()
        assert array.shape == (size,)
        assert array[-1] == 1
        started = time.perf_counter()
        array.copy()
        copying = time.perf_counter() - started
        started = time.perf_counter()
        round_trip()
        benchmark.extra_info["times_one_copy_in_memory"] = (time.perf_counter() - started) / copying
        benchmark(round_trip)
        writer.close()
