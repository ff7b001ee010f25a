"""``CellNet`` of Vandenberghe et al. 2017: a small convolutional network for one cell of 44 x 44 px."""

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
