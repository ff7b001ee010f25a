"""The only place that knows devices. This version offers the CPU; networks come with the plugins that need them."""

from her2viewer.scoring.runtime.local import LocalRuntime

__all__ = ["LocalRuntime"]
