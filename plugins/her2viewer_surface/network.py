"""The two networks of Pham et al. 2022, from MONAI's building blocks; both see RGB at 1 um/px. Imports torch.

Weights trained on ImageNet, where a user has them, fit without a change of names: ``start_from`` takes the state of
torchvision's ``densenet121`` or ``resnet18``, and that of a network of the same kind that was trained before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.blocks import BaseEncoder
from monai.networks.nets import DenseNet121, FlexibleUNet, resnet18
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE
from torch import nn

SEGMENTER_PIXELS = 256
CLASSIFIER_PIXELS = 64
DEPTH = 4
ENCODER_CHANNELS = (64, 256, 512, 1024)
DECODER_CHANNELS = (128, 64, 32, 16)
"""Half of MONAI's: with those two thirds of the work were the decoder's, and a region took 1.6 times as long."""
_BACKBONE = "her2viewer-densenet121"
_DENSE_LAYER = re.compile(r"^(.*denselayer\d+)\.((?:norm|relu|conv)[12]\..+)$")


class DenseEncoder(nn.Module, BaseEncoder):
    """DenseNet-121 up to its third dense block: four halvings, as a U-Net of depth 4 needs."""

    def __init__(self, spatial_dims: int = 2, in_channels: int = 3, pretrained: bool = False) -> None:
        super().__init__()
        if pretrained:
            raise ValueError("This program downloads no weights; use start_from with a file of your own.")
        whole = DenseNet121(spatial_dims=spatial_dims, in_channels=in_channels, out_channels=1).features
        wanted = ("conv0", "norm0", "relu0", "pool0", "denseblock1", "transition1", "denseblock2", "transition2")
        self.features = nn.ModuleDict({name: whole.get_submodule(name) for name in (*wanted, "denseblock3")})
        # What the third transition would begin with; a dense block gives sums that are not normalised.
        self.features["transition3"] = nn.ModuleDict({"norm": whole.get_submodule("transition3.norm")})

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 of the side of (b, 3, h, w)."""
        part = self.features
        x = part["relu0"](part["norm0"](part["conv0"](x)))
        found = [x]
        x = part["pool0"](x)
        for number in (1, 2):
            transition = part[f"transition{number}"]
            x = transition.get_submodule("relu")(transition.get_submodule("norm")(part[f"denseblock{number}"](x)))
            found.append(x)
            x = transition.get_submodule("pool")(transition.get_submodule("conv")(x))
        x = torch.relu(part["transition3"].get_submodule("norm")(part["denseblock3"](x)))
        return [*found, x]

    @classmethod
    def get_encoder_parameters(cls) -> list[dict[str, Any]]:
        """As MONAI's register of encoders asks for it."""
        return [{"spatial_dims": 2, "in_channels": 3, "pretrained": False}]

    @classmethod
    def num_channels_per_output(cls) -> list[tuple[int, ...]]:
        """As MONAI's register of encoders asks for it."""
        return [ENCODER_CHANNELS]

    @classmethod
    def num_outputs(cls) -> list[int]:
        """As MONAI's register of encoders asks for it."""
        return [DEPTH]

    @classmethod
    def get_encoder_names(cls) -> list[str]:
        """As MONAI's register of encoders asks for it."""
        return [_BACKBONE]


FLEXUNET_BACKBONE.register_class(DenseEncoder)


class Segmenter(FlexibleUNet):
    """U-Net of depth 4 on a DenseNet-121 encoder (section 3.4)."""

    def __init__(self) -> None:
        super().__init__(
            in_channels=3, out_channels=2, backbone=_BACKBONE, decoder_channels=DECODER_CHANNELS, is_pad=False
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (b, 2, h, w), other tissue and invasive tumour, of (b, 3, h, w); h and w multiples of 16."""
        logits: torch.Tensor = super().forward(inputs)
        return logits

    def start_from(self, state: Mapping[str, torch.Tensor]) -> int:
        """Take over the encoder of torchvision's ``densenet121``; returns how many tensors were taken.

        Of a segmenter's own state all is taken that has the same shape: a decoder of another width begins afresh.

        Raises:
            ValueError: the state is of another network.
        """
        if any(name.startswith("encoder.") for name in state):
            return _taken(self, state)
        renamed = {_DENSE_LAYER.sub(r"\1.layers.\2", name): value for name, value in state.items()}
        return _taken(self.encoder, renamed)


class Classifier(nn.Module):
    """ResNet-18 for one patch (section 3.5)."""

    def __init__(self) -> None:
        super().__init__()
        # torchvision's form, so that its ImageNet weights fit: first convolution with stride 2, plain shortcuts.
        self.body = resnet18(
            spatial_dims=2, n_input_channels=3, num_classes=4, conv1_t_stride=2, bias_downsample=False
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (b, 4), HER2 classes 0 to 3+, of (b, 3, 64, 64)."""
        logits: torch.Tensor = self.body(x)
        return logits

    def start_from(self, state: Mapping[str, torch.Tensor]) -> int:
        """Take over torchvision's ``resnet18`` but for its last layer, or all of a classifier's own state.

        Returns how many tensors were taken.

        Raises:
            ValueError: the state is of another network.
        """
        if any(name.startswith("body.") for name in state):
            return _taken(self, state)
        return _taken(self.body, {name: value for name, value in state.items() if not name.startswith("fc.")})


def _taken(network: nn.Module, state: Mapping[str, torch.Tensor]) -> int:
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    wanted = sum(1 for name in own if not name.startswith("fc."))
    if len(fitting) < wanted // 2:
        raise ValueError(
            f"Only {len(fitting)} of {wanted} tensors fit; the file must be torchvision's network of the same "
            "kind, or the weights of a model that this recipe trained."
        )
    network.load_state_dict(fitting, strict=False)
    return len(fitting)
