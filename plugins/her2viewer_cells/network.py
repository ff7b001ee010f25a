"""``CellNet`` of Vandenberghe et al. 2017, for one cell of 44 x 44 px, and a small network that finds nuclei."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

PIXELS = 44
"""Side of the input, px."""
CHANNELS = 2
"""Haematoxylin and DAB."""
OUTPUTS = 8
"""Seven classes and one that is unused."""
PARAMETERS = 466_283
"""As the paper prints it."""


class CellNet(nn.Module):
    """Three times convolution, pooling and ReLU, then two full layers with dropout before each.

    The number of parameters that the paper prints comes out with two input channels, convolutions that keep the size,
    pooling that rounds up (44, 22, 11, 6) and eight outputs.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (CHANNELS, 25, 25, 25)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, kernel_size=3, padding=1),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(25 * 6 * 6, 500),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(500, OUTPUTS),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (b, 8) of (b, 2, 44, 44) float32."""
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


class Finder(nn.Module):
    """A small U-Net that says of each pixel whether the middle of a nucleus is there.

    The first convolution halves the picture, so that most of the work is done at about 1 um/px. On the way back up,
    what is deep is brought to the channels of the finer level and added to it: joined as further channels, the two
    convolutions there would take more than half of the time. A pixel depends on no other one further than 40 px away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(CHANNELS, 16, kernel_size=5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            _block(16, 16),
        )
        self.second = nn.Sequential(nn.MaxPool2d(2), _block(16, 32), _block(32, 32))
        self.third = nn.Sequential(nn.MaxPool2d(2), _block(32, 64), _block(64, 64))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.from_third = nn.Conv2d(64, 32, kernel_size=1)
        self.back_second = _block(32, 32)
        self.from_second = nn.Conv2d(32, 16, kernel_size=1)
        self.back_first = _block(16, 16)
        self.head = nn.Conv2d(16, 2, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (b, 2, h, w) of (b, 2, h, w) float32; h and w are multiples of 8."""
        first = self.first(x)
        second = self.second(first)
        back = self.back_second(second + self.up(self.from_third(self.third(second))))
        back = self.back_first(first + self.up(self.from_second(back)))
        logits: torch.Tensor = self.up(self.head(back))
        return logits
