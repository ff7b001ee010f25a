"""What both networks see: RGB at 1 um/px relative to the slide's glass, scaled as ImageNet's networks expect it."""

from __future__ import annotations

MPP = 1.0
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SPREAD = (0.229, 0.224, 0.225)
SCALE = tuple(1 / spread for spread in IMAGENET_SPREAD)
