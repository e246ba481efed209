"""Convolution of sequences and images, and transposed convolution.

As in PyTorch the kernel is not turned: "convolution" is a correlation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Gradients, Node
from ..errors import ShapeError
from ..kernels import conv
from ..kernels.engine import Array
from ..tensor import Tensor, as_tensor, record
from .shapes import reshape

Size = int | tuple[int, ...]  # one number, or one for each axis


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    r"""Convolution of images.

    .. math:: y_{n m p q} = b_m + \sum_{c i j} w_{m c i j} \, x_{n, c, p s + i d - a, q s + j d - a}

    with stride s, dilation d, padding a, and zeros outside of the image.

    Args:
        x: the images.
        weight: one kernel for each output channel.
        bias: one number for each output channel, or None.
        stride: steps between windows, an integer or (rows, columns).
        padding: zeros around the image, an integer or (rows, columns); ``"valid"`` for none;
            ``"same"`` (stride 1 only) for an output of the size of the input.
        dilation: steps between the items of a window, an integer or (rows, columns).
        groups: channels are divided into so many parts, which do not see each other.

    Shape:
        ``x`` (n, c, h, w) or (c, h, w), ``weight`` (o, c / groups, kernel rows, kernel columns),
        ``bias`` (o,), result (..., o, rows, columns) with
        :math:`\mathrm{rows} = \lfloor (h + 2 a - d (k - 1) - 1) / s \rfloor + 1`.

    Raises:
        ShapeError: axes, channels or bias do not fit, or the image is smaller than the kernel.
        DtypeError, DeviceError: ``x`` is not of float dtype, or an argument is not like it.
        ArgumentError: an option is not in its range.

    Source:
        Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", 2016.

    Examples:
        >>> x, w = np.zeros((8, 3, 32, 32), np.float32), np.zeros((16, 3, 5, 5), np.float32)
        >>> nl.functional.conv2d(nl.tensor(x), nl.tensor(w), stride=2, padding=2).shape
        (8, 16, 16, 16)
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _apply("conv2d", conv.conv2d, _conv_backward, 2, x, weight, bias, options)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of sequences: :func:`conv2d` with one axis less.

    Shape:
        ``x`` (n, c, length) or (c, length), ``weight`` (o, c / groups, kernel), ``bias`` (o,).
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _apply("conv1d", conv.conv1d, _conv_backward, 1, x, weight, bias, options)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    r"""Transposed convolution: the map from a gradient of :func:`conv2d`'s output to its input.

    Args:
        x: the images.
        weight: one kernel for each pair of an input and an output channel.
        bias: one number for each output channel, or None.
        stride, padding, dilation: of the convolution that this reverses.
        output_padding: rows and columns added at the end of the output; less than stride or
            dilation. Convolutions of several sizes have outputs of one size: this says of which.
        groups: as in :func:`conv2d`.

    Shape:
        ``x`` (n, c, h, w) or (c, h, w), ``weight`` (c, o / groups, kernel rows, kernel columns),
        ``bias`` (o,), result (..., o, rows, columns) with
        :math:`\mathrm{rows} = (h - 1) s - 2 a + d (k - 1) + \mathrm{output\_padding} + 1`.

    Raises:
        ShapeError, DtypeError, DeviceError, ArgumentError: as :func:`conv2d`.
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    options |= {"groups": groups, "dilation": dilation}
    launch = conv.conv_transpose2d
    return _apply("conv_transpose2d", launch, _transpose_backward, 2, x, weight, bias, options)


def conv_transpose1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Transposed convolution of sequences: :func:`conv_transpose2d` with one axis less.

    Shape:
        ``x`` (n, c, length) or (c, length), ``weight`` (c, o / groups, kernel), ``bias`` (o,).
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    options |= {"groups": groups, "dilation": dilation}
    launch = conv.conv_transpose1d
    return _apply("conv_transpose1d", launch, _transpose_backward, 1, x, weight, bias, options)


def _apply(
    op: str,
    launch: Callable[..., Array],
    backward: Callable[[Node, Array], Gradients],
    axes: int,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    options: dict[str, Any],
) -> Tensor:
    x, weight = as_tensor(x, op, "x"), as_tensor(weight, op, "weight")
    bias = None if bias is None else as_tensor(bias, op, "bias")
    if x.ndim == axes + 1:
        y = _apply(op, launch, backward, axes, reshape(x, 1, *x.shape), weight, bias, options)
        return reshape(y, *y.shape[1:])
    if x.ndim != axes + 2:
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, expected {axes + 2} axes, or {axes + 1} for one item"
        )
    out = launch(x.array, weight.array, None if bias is None else bias.array, **options)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    # Both gradients need their sizes, even where only one of them is wanted.
    return record(op, out, inputs, backward, (x, weight), options)


def _needs(node: Node) -> tuple[bool, bool, bool]:
    return node.needs(0), node.needs(1), len(node.edges) == 3 and node.needs(2)


def _conv_backward(node: Node, dy: Array) -> Gradients:
    x, weight = node.saved
    found = conv.conv2d_backward(dy, x, weight, _needs(node), **node.constants)
    return found[: len(node.edges)]


def _transpose_backward(node: Node, dy: Array) -> Gradients:
    x, weight = node.saved
    found = conv.conv_transpose2d_backward(dy, x, weight, _needs(node), **node.constants)
    return found[: len(node.edges)]
