"""Convolution layers. The formulas are in :mod:`nnlite.functional.convolution`."""

from __future__ import annotations

import math
import numbers
from typing import Any

from .. import functional as F
from .. import init
from ..errors import ArgumentError
from ..functional.convolution import Size
from ..kernels.conv.geometry import pair
from ..kernels.engine import Device, empty
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter


class _Convolution(Module):
    """What all convolution layers have: their options, checked, and their parameters."""

    AXES = 2
    TRANSPOSED = False
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        output_padding: Size,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Device | str | None,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ArgumentError(
                f"{name}: padding_mode: {padding_mode!r} given, expected 'zeros'; for another one "
                "put a padding layer before a convolution without padding"
            )
        counts = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        for option, value in counts.items():
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not whole or value < 1:
                raise ArgumentError(f"{name}: {option}: {value!r} given, expected an integer >= 1")
            if value % groups:
                raise ArgumentError(
                    f"{name}: {option}: {value} given, expected a multiple of groups={groups}"
                )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._sizes("kernel_size", kernel_size, 1)
        self.stride = self._sizes("stride", stride, 1)
        self.dilation = self._sizes("dilation", dilation, 1)
        self.output_padding = self._sizes("output_padding", output_padding, 0)
        self.padding: tuple[int, ...] | str = (
            padding if isinstance(padding, str) else self._sizes("padding", padding, 0)
        )
        self._check_padding(name)
        ends = (in_channels, out_channels) if self.TRANSPOSED else (out_channels, in_channels)
        shape = (ends[0], ends[1] // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, dtype, device))
        if bias:
            self.bias = Parameter(empty((out_channels,), dtype, device))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _sizes(self, option: str, value: Size, least: int) -> tuple[int, ...]:
        return pair(type(self).__name__, option, value, least, self.AXES)[-self.AXES :]

    def _check_padding(self, name: str) -> None:
        known = () if self.TRANSPOSED else ("same", "valid")
        if isinstance(self.padding, str) and self.padding not in known:
            words = "".join(f" or {word!r}" for word in known)
            raise ArgumentError(f"{name}: padding: {self.padding!r} given, expected numbers{words}")
        if self.padding == "same" and max(self.stride) > 1:
            raise ArgumentError(
                f"{name}: padding: 'same' given with stride {self.stride}, expected stride 1"
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0))
        if self.bias is not None:
            bound = 1.0 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}, padding={self.padding!r}, dilation={self.dilation}"
        if self.TRANSPOSED:
            text += f", output_padding={self.output_padding}"
        return f"{text}, groups={self.groups}, bias={self.bias is not None}"


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        sizes = (in_channels, out_channels, kernel_size, stride, padding, 0, dilation)
        super().__init__(*sizes, groups, bias, padding_mode, device, dtype)


class Conv2d(_Conv):
    r"""Convolution of images; see :func:`nnlite.functional.conv2d`.

    Weight and bias start as :math:`U(-k, k)` with
    :math:`k = 1 / \sqrt{\mathrm{in\_channels} / \mathrm{groups} \cdot \mathrm{kernel\ items}}`.

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size: rows and columns of the kernel, an integer or two.
        stride: steps between windows.
        padding: zeros around the image; ``"valid"``, or ``"same"`` for an output of equal size.
        dilation: steps between the items of a window.
        groups: channels are divided into so many parts, which do not see each other;
            ``in_channels`` for a depthwise convolution.
        bias: add one number for each output channel.
        padding_mode: ``"zeros"``.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (n, in_channels, h, w) or (in_channels, h, w), output (..., out_channels, oh, ow).

    Attributes:
        weight: (out_channels, in_channels / groups, kernel rows, kernel columns).
        bias: (out_channels,), or None.

    Examples:
        >>> layer = nl.nn.Conv2d(3, 16, 3, padding=1)
        >>> layer(nl.tensor(np.zeros((8, 3, 32, 32), np.float32))).shape
        (8, 16, 32, 32)
    """

    def forward(self, x: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.dilation, self.groups)
        return F.conv2d(x, self.weight, self.bias, *options)


class Conv1d(_Conv):
    """Convolution of sequences: arguments as :class:`Conv2d`, with one axis.

    Shape:
        input (n, in_channels, length) or (in_channels, length).

    Attributes:
        weight: (out_channels, in_channels / groups, kernel).
        bias: (out_channels,), or None.
    """

    AXES = 1

    def forward(self, x: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.dilation, self.groups)
        return F.conv1d(x, self.weight, self.bias, *options)


class _ConvTranspose(_Convolution):
    TRANSPOSED = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        sizes = (in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation)
        super().__init__(*sizes, groups, bias, padding_mode, device, dtype)

    def _options(self) -> Any:
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images; see :func:`nnlite.functional.conv_transpose2d`.

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size, stride, padding, dilation: of the convolution that this reverses.
        output_padding: rows and columns added at the end of the output.
        groups, bias, padding_mode, device, dtype: as :class:`Conv2d`.

    Shape:
        input (n, in_channels, h, w) or (in_channels, h, w), output (..., out_channels, oh, ow).

    Attributes:
        weight: (in_channels, out_channels / groups, kernel rows, kernel columns).
        bias: (out_channels,), or None.

    Examples:
        >>> layer = nl.nn.ConvTranspose2d(16, 3, 2, stride=2)
        >>> layer(nl.tensor(np.zeros((8, 16, 7, 7), np.float32))).shape
        (8, 3, 14, 14)
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, self.bias, *self._options())


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of sequences: arguments as :class:`ConvTranspose2d`, with one axis.

    Shape:
        input (n, in_channels, length) or (in_channels, length).

    Attributes:
        weight: (in_channels, out_channels / groups, kernel).
        bias: (out_channels,), or None.
    """

    AXES = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose1d(x, self.weight, self.bias, *self._options())
