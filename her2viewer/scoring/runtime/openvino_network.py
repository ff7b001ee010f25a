"""A network run by OpenVINO, on a processor, Intel graphics or an NPU."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from her2viewer.scoring.contract import ScorerError
from her2viewer.scoring.model_folder import ModelFolder
from her2viewer.scoring.runtime.devices import openvino_version, precisions_of
from her2viewer.scoring.runtime.eight_bit import input_ranges, with_eight_bits
from her2viewer.scoring.runtime.inputs import as_images, input_side, scaling
from her2viewer.scoring.runtime.kept import Kept
from her2viewer.scoring.runtime.upsampling import without_upsampling

T = TypeVar("T")

CPU_PIXELS = 1 << 16
"""Of one request on a processor: one image of 256 px is as fast as four, and a cancel waits for less."""
GPU_PIXELS = 1 << 20
"""Of the first request that is tried on graphics; halved until it fits."""
MOST = 256
ROUNDS = 4
"""Requests of each stream in a batch of the recommended size, so that none waits long at its end."""
NO_MEMORY = ("out of memory", "out_of_memory", "out_of_resources", "out_of_host", "exceeded max size", "alloc")
GRAPH = 2
"""Counts the ways in which graphs were rewritten before they were compiled."""
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVinoNetwork:
    """See ``contract.Network``."""

    def __init__(
        self,
        core: Any,
        source: Callable[[], Any],
        model: ModelFolder,
        *,
        device: str,
        precision: str,
        threads: int,
        kept: Kept,
    ) -> None:
        """Compile, or take what was compiled before.

        Args:
            core: OpenVINO's core.
            source: gives a fresh model of OpenVINO; asked only where nothing is kept.
            model: whose network it is.
            device: OpenVINO's name, "CPU".
            precision: "fp32", "bf16", "fp16", or "int8": convolutions in 8-bit integers, all else in bf16 where the
                device has it.
            threads: of the processor.
            kept: where compiled networks are.

        Raises:
            ScorerError: OpenVINO refuses the network, or the device is too small for it.
        """
        self._core, self._source, self._device, self._kept = core, source, device, kept
        self._model, self._threads = model, threads
        self._offset, self._scale = scaling(model)
        self._side, self._channels = input_side(model), len(self._offset)
        pixels = CPU_PIXELS if device == "CPU" else GPU_PIXELS
        self._size = max(1, min(MOST, pixels // self._side**2))
        self._queues: dict[str, tuple[Any, tuple[int, ...]]] = {}
        self._busy = threading.Lock()
        self.precision = precision
        self.batch = 1
        self._fitting(lambda: self._queue("u1"))

    def run(self, batch: NDArray[Any], check: Callable[[], None]) -> NDArray[np.float32]:
        """As ``contract.Network``; ``check`` is called between requests and may raise."""
        images = as_images(batch, self._side, self._channels)
        with self._busy:
            return self._fitting(lambda: self._run(images, check))

    def _fitting(self, work: Callable[[], T]) -> T:
        """``work``, with requests of half the size where the device's memory is too small.

        Raises:
            ScorerError: it fails.
        """
        while True:
            try:
                return work()
            except RuntimeError as error:
                text = " ".join(str(error).split())
                self._queues.clear()
                if not any(sign in text.lower() for sign in NO_MEMORY):
                    raise ScorerError(
                        f"The network {self._model.name} does not run on {self._device} by OpenVINO "
                        f"({text[-200:]}). Choose another device in the settings of the scorer."
                    ) from error
                if self._size == 1:
                    raise ScorerError(
                        f"The memory of the device is too small for the network {self._model.name}. Close other "
                        "programs, or choose another device in the settings of the scorer."
                    ) from error
                self._size //= 2

    def _run(self, images: NDArray[Any], check: Callable[[], None]) -> NDArray[np.float32]:
        queue, shape = self._queue(images.dtype.str[1:])
        out = np.empty((len(images), *shape), np.float32)

        def arrived(request: Any, start: int) -> None:
            part = out[start : start + self._size]
            part[:] = request.get_output_tensor(0).data[: len(part)]

        queue.set_callback(arrived)
        try:
            for start in range(0, len(images), self._size):
                check()
                part = images[start : start + self._size]
                if len(part) < self._size:
                    part = np.concatenate([part, np.repeat(part[-1:], self._size - len(part), axis=0)])
                queue.start_async({0: part}, start)
            queue.wait_all()
        except BaseException:
            # Whoever is told of a failure or a cancel may begin anew at once: nothing must still be under way.
            with suppress(RuntimeError):
                queue.wait_all()
            raise
        return out

    def _queue(self, kind: str) -> tuple[Any, tuple[int, ...]]:
        """Requests for a type of pixels ("u1", "f4") and the shape of one answer."""
        if kind not in self._queues:
            import openvino

            compiled = self._compiled(kind)
            streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            self._queues[kind] = (
                openvino.AsyncInferQueue(compiled, streams),
                tuple(int(n) for n in compiled.output(0).get_shape())[1:],
            )
            self.batch = self._size * streams * ROUNDS
        return self._queues[kind]

    def _compiled(self, kind: str) -> Any:
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": HINTS[self._besides()],
        }
        if self._device == "CPU":
            options["INFERENCE_NUM_THREADS"] = self._threads
        what = f"{self._device}-{self.precision}-{kind}-{self._size}-{self._threads}-{openvino_version()}-{GRAPH}"
        name = f"{self._model.sha256[:32]}-{_digest(self._model)}-{what}.blob"
        data = self._kept.data(name)
        if data is not None:
            # What OpenVINO of another build wrote under the same number.
            with suppress(RuntimeError):
                return self._core.import_model(io.BytesIO(data), self._device, options)
        compiled = self._core.compile_model(self._scaled(kind), self._device, options)
        # Not every device can.
        with suppress(RuntimeError):
            self._kept.keep(name, compiled.export_model().getvalue())
        return compiled

    def _besides(self) -> str:
        """The precision of all that is not computed in integers."""
        return precisions_of(self._device)[-1] if self.precision == "int8" else self.precision

    def _scaled(self, kind: str) -> Any:
        """The network with a fixed size of batch, its input pixels as they come, (n, h, w, c)."""
        import openvino as ov
        from openvino.preprocess import PrePostProcessor

        network = self._source()
        network.reshape([self._size, self._channels, self._side, self._side])
        if self._device == "CPU":
            without_upsampling(network)
        if self.precision == "int8":
            with_eight_bits(network, input_ranges(self._model))
        steps = PrePostProcessor(network)
        own = steps.input()
        own.tensor().set_element_type(ov.Type.u8 if kind == "u1" else ov.Type.f32).set_layout(ov.Layout("NHWC"))
        own.model().set_layout(ov.Layout("NCHW"))
        # Grey levels are brought to 0..1 and scaled in one step.
        unit = 255.0 if kind == "u1" else 1.0
        own.preprocess().convert_element_type(ov.Type.f32).mean([unit * o for o in self._offset]).scale(
            [unit / s for s in self._scale]
        )
        return steps.build()


def _digest(model: ModelFolder) -> str:
    """Of what else than the weights makes the compiled network: its graph and how its input is scaled."""
    known = (model.architecture, input_side(model), scaling(model), sorted(input_ranges(model).items()))
    text = repr(known).encode()
    graph = model.graph
    return hashlib.sha256(text + (graph.read_bytes() if graph is not None else b"")).hexdigest()[:8]
