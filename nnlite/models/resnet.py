"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

from .. import functional as F
from .. import init, nn
from ..errors import ArgumentError
from ..tensor import Tensor
from .convolutional import image_shape
from .registry import register

WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    r"""Two 3x3 convolutions with batch normalisation, and a way past them: :math:`y = f(x) + x`.

    Where the channels grow, the way past takes every second pixel and fills up with channels of
    zeros, so that it needs no parameter ("option A" of the paper).

    Args:
        inputs, outputs: channels.
        stride: of the first convolution.

    Shape:
        input (n, inputs, h, w), output (n, outputs, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.grown = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.grown:
            before = self.grown // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.grown - before))
        return (y + x).relu()


class ResNet(nn.Module):
    """Residual network of 6 n + 2 layers, as made for CIFAR-10.

    A 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels, the mean of each
    channel, one linear layer; convolutions begin with the values of He et al. (2015a).

    Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition",
    arXiv:1512.03385, section 4.2.

    Args:
        depth: 8, 14, 20, 32, …: 6 n + 2.
        input_shape: (channels, height, width).
        num_classes: number of outputs.

    Shape:
        input (n, channels, height, width), output (n, num_classes).

    Raises:
        ArgumentError: the depth is none of these.
    """

    def __init__(
        self, depth: int = 20, input_shape: Sequence[int] = (3, 32, 32), num_classes: int = 10
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ArgumentError(f"ResNet: depth: {depth!r} given, expected 8, 14, 20, 26, 32, ...")
        channels, _, _ = image_shape("ResNet", input_shape, 4)
        blocks = depth // 6
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        before = WIDTHS[0]
        for number, width in enumerate(WIDTHS, 1):
            first = BasicBlock(before, width, 1 if width == before else 2)
            rest = [BasicBlock(width, width) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(first, *rest))
            before = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        for number in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(self.flatten(self.avgpool(x)))


@register("resnet8")
def resnet8(input_shape: Sequence[int], num_classes: int) -> ResNet:
    """:class:`ResNet` of 8 layers."""
    return ResNet(8, input_shape, num_classes)


@register("resnet20")
def resnet20(input_shape: Sequence[int], num_classes: int) -> ResNet:
    """:class:`ResNet` of 20 layers."""
    return ResNet(20, input_shape, num_classes)
