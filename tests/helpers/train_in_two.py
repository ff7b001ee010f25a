"""The command line in two processes on the processor, as several GPUs would be used."""

from __future__ import annotations

import sys

from lightning.fabric import Fabric

from her2viewer import cli
from her2viewer.training import run


def two(device: str, bf16: bool) -> Fabric:
    """In the place of ``make_fabric``."""
    return Fabric(accelerator="cpu", devices=2, strategy="ddp", precision="32-true")


if __name__ == "__main__":
    run.make_fabric = two
    sys.exit(cli.main(sys.argv[1:]))
