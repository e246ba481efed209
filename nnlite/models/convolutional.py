"""LeNet-5 and a small VGG: convolutions and pooling, then linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..errors import ArgumentError
from ..tensor import Tensor
from .registry import register


def image_shape(name: str, shape: Sequence[int], least: int) -> tuple[int, int, int]:
    """(channels, height, width); ArgumentError unless it is an image of ``least`` pixels a side."""
    if len(shape) != 3 or min(shape[1:]) < least:
        raise ArgumentError(
            f"{name}: input_shape: {tuple(shape)} given, expected (channels, height, width) with "
            f"at least {least} pixels a side"
        )
    return shape[0], shape[1], shape[2]


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and maximum pooling in place of sigmoids and trained averages.

    Two 5x5 convolutions of 6 and 16 channels, each followed by 2x2 pooling, then three linear
    layers. The first convolution is padded by 2, which makes of a 28x28 image the 32x32 of the
    paper.

    Source: Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings
    of the IEEE 1998.

    Args:
        input_shape: (channels, height, width), 12 pixels a side or more.
        num_classes: number of outputs.

    Shape:
        input (n, channels, height, width), output (n, num_classes).
    """

    def __init__(self, input_shape: Sequence[int] = (1, 28, 28), num_classes: int = 10) -> None:
        super().__init__()
        channels, height, width = image_shape("LeNet5", input_shape, 12)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        left = ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * left, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class VGG(nn.Module):
    """A small VGG: stages of two 3x3 convolutions and a pooling, then two linear layers.

    Each convolution is followed by batch normalisation and ReLU.

    Source: K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015.

    Args:
        input_shape: (channels, height, width); each stage halves height and width.
        num_classes: number of outputs.
        widths: channels of the stages.
        hidden: width of the linear layer before the last.

    Shape:
        input (n, channels, height, width), output (n, num_classes).
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (3, 32, 32),
        num_classes: int = 10,
        widths: Sequence[int] = (32, 64, 128),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape("VGG", input_shape, 2 ** len(widths))
        layers: list[Any] = []
        for out in widths:
            for _ in range(2):
                layers.append(nn.Conv2d(channels, out, 3, padding=1))
                layers += [nn.BatchNorm2d(out), nn.ReLU()]
                channels = out
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


@register("lenet")
def lenet(input_shape: Sequence[int], num_classes: int) -> LeNet5:
    """:class:`LeNet5`."""
    return LeNet5(input_shape, num_classes)


@register("vgg")
def vgg(
    input_shape: Sequence[int],
    num_classes: int,
    widths: Sequence[int] = (32, 64, 128),
    hidden: int = 128,
) -> VGG:
    """:class:`VGG`."""
    return VGG(input_shape, num_classes, widths, hidden)
