"""Pooling layers; none has parameters. The formulas are in :mod:`nnlite.functional.pooling`."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from ..kernels.pool.windows import Size
from ..tensor import Tensor
from .module import Module


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _options(self) -> Any:
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return (*window, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Largest item of each window of a sequence; see :func:`nnlite.functional.max_pool1d`.

    Args:
        kernel_size: length of the windows.
        stride: steps between windows; None is ``kernel_size``.
        padding: items at both ends, smaller than any; at most half a window.
        dilation: steps between the items of a window.
        return_indices: return the places of the maxima too.
        ceil_mode: round the number of windows up.

    Shape:
        input (n, c, l) or (c, l), output (..., ol).
    """

    def forward(self, x: Tensor) -> Any:
        return F.max_pool1d(x, *self._options())


class MaxPool2d(_MaxPool):
    """Largest item of each window of an image; see :func:`nnlite.functional.max_pool2d`.

    Args:
        kernel_size: height and width of the windows, an integer or two (so the next three).
        stride: steps between windows; None is ``kernel_size``.
        padding: items around the image, smaller than any; at most half a window.
        dilation: steps between the items of a window.
        return_indices: return the places of the maxima too.
        ceil_mode: round the number of windows up.

    Shape:
        input (n, c, h, w) or (c, h, w), output (..., oh, ow).

    Examples:
        >>> nl.nn.MaxPool2d(2)(nl.tensor(np.zeros((64, 32, 28, 28), np.float32))).shape
        (64, 32, 14, 14)
    """

    def forward(self, x: Tensor) -> Any:
        return F.max_pool2d(x, *self._options())


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def _options(self) -> Any:
        window = (self.kernel_size, self.stride, self.padding)
        return (*window, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Mean of each window of a sequence; see :func:`nnlite.functional.avg_pool1d`.

    Args:
        kernel_size: length of the windows.
        stride: steps between windows; None is ``kernel_size``.
        padding: zeros at both ends; at most half a window.
        ceil_mode: round the number of windows up.
        count_include_pad: the zeros of the padding count as items.

    Shape:
        input (n, c, l) or (c, l), output (..., ol).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool1d(x, *self._options())


class AvgPool2d(_AvgPool):
    """Mean of each window of an image; see :func:`nnlite.functional.avg_pool2d`.

    Args:
        kernel_size: height and width of the windows, an integer or two (so the next two).
        stride: steps between windows; None is ``kernel_size``.
        padding: zeros around the image; at most half a window.
        ceil_mode: round the number of windows up.
        count_include_pad: the zeros of the padding count as items.
        divisor_override: divide the sums by this number instead of the number of items.

    Shape:
        input (n, c, h, w) or (c, h, w), output (..., oh, ow).
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, *(*self._options(), self.divisor_override))


class _AdaptivePool(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Mean of each of ``output_size`` windows that share a sequence.

    Args:
        output_size: length of the result; 1 is global pooling.

    Shape:
        input (n, c, l) or (c, l), output (..., output_size).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Mean of each of ``output_size`` windows that share an image.

    Args:
        output_size: rows and columns of the result, an integer or two; 1 is global pooling; None
            keeps the size of the input.

    Shape:
        input (n, c, h, w) or (c, h, w), output (..., oh, ow).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Largest item of each of ``output_size`` windows that share a sequence.

    Args:
        output_size: length of the result.
        return_indices: return the places of the maxima too.

    Shape:
        input (n, c, l) or (c, l), output (..., output_size).
    """

    def forward(self, x: Tensor) -> Any:
        return F.adaptive_max_pool1d(x, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Largest item of each of ``output_size`` windows that share an image.

    Args:
        output_size: rows and columns of the result, an integer or two; None keeps the size.
        return_indices: return the places of the maxima too.

    Shape:
        input (n, c, h, w) or (c, h, w), output (..., oh, ow).
    """

    def forward(self, x: Tensor) -> Any:
        return F.adaptive_max_pool2d(x, self.output_size, self.return_indices)
