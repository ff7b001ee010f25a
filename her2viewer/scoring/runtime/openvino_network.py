"""A network run by OpenVINO, on a processor, Intel graphics or an NPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder

PIXELS_AT_ONCE = 1 << 18
"""Of one request: as many images as fit, 64 at most."""


class OpenVinoNetwork:
    """See ``contract.Network``."""

    def __init__(
        self,
        core: Any,
        source: Path | Any,
        model: ModelFolder,
        *,
        device: str,
        precision: str,
        threads: int,
        cache: Path | None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Compile.

        Args:
            core: OpenVINO's core.
            source: file that OpenVINO reads (ONNX or its own), or a model of OpenVINO.
            model: what the network's input is scaled by.
            device: OpenVINO's name, "CPU".
            precision: "fp32" or "bf16" ("fp16" on GPUs).
            threads: of the processor.
            cache: folder for compiled networks; None keeps nothing.
            check: called between requests; may raise.

        Raises:
            ScorerError: OpenVINO refuses the network.
        """
        self._core, self._source, self._device, self._cache = core, source, device, cache
        self._threads, self._check = threads, check
        self._offset, self._scale = scaling(model)
        self._compiled: dict[str, tuple[Any, Any]] = {}
        self.precision = precision
        side = int(model.more.get("input_px", 0)) or 256
        self._side, self._channels = side, len(self._offset)
        self.batch = max(1, min(64, PIXELS_AT_ONCE // side**2))
        self._name = model.name
        self._queue("u1")

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """As ``contract.Network``."""
        images = as_images(batch, self._side, self._channels)
        queue, shape = self._queue(images.dtype.str[1:])
        out = np.empty((len(images), *shape), np.float32)
        arrived = threading.Lock()
        failures: list[str] = []

        def done(request: Any, place: tuple[int, int]) -> None:
            with arrived:
                out[place[0] : place[1]] = request.get_output_tensor(0).data[: place[1] - place[0]]

        queue.set_callback(done)
        try:
            for start in range(0, len(images), self.batch):
                self._check()
                part = images[start : start + self.batch]
                stop = start + len(part)
                if len(part) < self.batch:
                    part = np.concatenate([part, np.repeat(part[-1:], self.batch - len(part), axis=0)])
                queue.start_async({0: part}, (start, stop))
            queue.wait_all()
        except RuntimeError as error:
            failures.append(str(error).splitlines()[0])
        finally:
            # A cancel must not leave requests that write to arrays nobody holds any more.
            queue.wait_all()
        if failures:
            raise ScorerError(f"The network {self._name} failed on {self._device}: {failures[0]}")
        return out

    def images_per_second(self, seconds: float) -> float:
        """Measured on noise."""
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (2 * self.batch, self._side, self._side, self._channels), np.uint8)
        self(noise)
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds or count == 0:
            self(noise)
            count += len(noise)
        return count / (time.perf_counter() - began)

    def _queue(self, kind: str) -> tuple[Any, tuple[int, ...]]:
        """Requests for a type of pixels ("u1", "f4") and the shape of one answer."""
        if kind not in self._compiled:
            try:
                self._compiled[kind] = self._compile(kind)
            except RuntimeError as error:
                raise ScorerError(
                    f"OpenVINO cannot run the network {self._name} on {self._device} "
                    f"({str(error).splitlines()[0][:200]}). Choose another device in the settings."
                ) from error
        return self._compiled[kind]

    def _compile(self, kind: str) -> tuple[Any, tuple[int, ...]]:
        import openvino as ov
        from openvino.preprocess import PrePostProcessor

        network = self._core.read_model(str(self._source)) if isinstance(self._source, Path) else self._source.clone()
        network.reshape([self.batch, self._channels, self._side, self._side])
        steps = PrePostProcessor(network)
        own = steps.input()
        own.tensor().set_element_type(ov.Type.u8 if kind == "u1" else ov.Type.f32).set_layout(ov.Layout("NHWC"))
        own.model().set_layout(ov.Layout("NCHW"))
        # Grey levels are brought to 0..1 and scaled in one step.
        unit = 255.0 if kind == "u1" else 1.0
        own.preprocess().convert_element_type(ov.Type.f32).mean([unit * o for o in self._offset]).scale(
            [unit / s for s in self._scale]
        )
        network = steps.build()
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[self.precision],
        }
        if self._device == "CPU":
            options["INFERENCE_NUM_THREADS"] = self._threads
        if self._cache is not None:
            options["CACHE_DIR"] = str(self._cache)
        compiled = self._core.compile_model(network, self._device, options)
        queue = ov.AsyncInferQueue(compiled, int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))
        return queue, tuple(int(n) for n in compiled.output(0).get_shape())[1:]


def scaling(model: ModelFolder) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Offset and scale of each channel.

    Raises:
        ScorerError: the model does not say them.
    """
    try:
        offset = tuple(float(v) for v in model.normalisation["offset"])
        scale = tuple(float(v) for v in model.normalisation["scale"])
        if not offset or len(offset) != len(scale) or any(s == 0 for s in scale):
            raise ValueError("lengths differ")
    except (KeyError, TypeError, ValueError) as error:
        raise ScorerError(f"The model {model.name} does not say how its input is scaled; get it again.") from error
    return offset, scale


def as_images(batch: NDArray[Any], side: int, channels: int) -> NDArray[Any]:
    """(n, side, side, channels), uint8 or float32, contiguous.

    Raises:
        ValueError: another shape or type.
    """
    expected: Sequence[int] = (side, side, channels)
    if batch.ndim != 4 or tuple(batch.shape[1:]) != tuple(expected):
        raise ValueError(f"A batch must be (n, {side}, {side}, {channels}), not {batch.shape}.")
    if batch.dtype not in (np.uint8, np.float32):
        raise ValueError(f"A batch must be uint8 or float32, not {batch.dtype}.")
    return np.ascontiguousarray(batch)
