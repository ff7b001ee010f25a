"""The only place that knows devices: OpenVINO for processors and Intel devices, torch for CUDA and MPS."""

from her2viewer.scoring.runtime.local import LocalRuntime

__all__ = ["LocalRuntime"]
