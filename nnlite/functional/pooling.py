"""Pooling of sequences and images: the maximum or the mean of windows, sliding or adaptive.

A sequence is pooled as an image of one row. Images are (n, c, h, w) or (c, h, w), sequences
(n, c, l) or (c, l).
"""

from __future__ import annotations

from typing import Any

from ..autograd import Gradients, Node
from ..errors import ArgumentError, ShapeError
from ..kernels import pool
from ..kernels.elementwise import cast
from ..kernels.engine import Array
from ..kernels.pool.windows import Size
from ..tensor import Tensor, as_tensor, record, wrap

Indexed = tuple[Tensor, Tensor]


def max_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""Largest item of each window; NaN if it holds one. The first of equal ones has the gradient.

    Args:
        x: the images.
        kernel_size: height and width of the windows, an integer or two.
        stride: steps between windows; None is ``kernel_size``.
        padding: items around the image, smaller than any; at most half a window.
        dilation: steps between the items of a window.
        ceil_mode: round the number of windows up: the last may hang over the edge.
        return_indices: also return the place of each maximum in its image, ``row * w + column``.

    Shape:
        ``x`` (n, c, h, w) or (c, h, w); result (..., oh, ow) with
        :math:`oh = \lfloor (h + 2 p - d (k - 1) - 1) / s \rfloor + 1`.

    Raises:
        ShapeError: ``x`` has another number of axes, or no window fits.
        DtypeError: ``x`` is not of float dtype.
        ArgumentError: an option is not in its range.
    """
    x = _given("max_pool2d", x, 2)
    options: Any = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max("max_pool2d", x, x.array, options, return_indices)


def max_pool1d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool2d` of sequences: ``x`` (n, c, l) or (c, l), options of one integer."""
    op = "max_pool1d"
    x = _given(op, x, 1)
    k = _row(op, "kernel_size", kernel_size, 1)
    s = k if stride is None else _row(op, "stride", stride, 1)
    p, d = _row(op, "padding", padding, 0), _row(op, "dilation", dilation, 1)
    return _max(op, x, _one_row(x.array), (k, s, p, d, ceil_mode), return_indices)


def _max(op: str, x: Tensor, image: Array, options: Any, return_indices: bool) -> Any:
    out, index = pool.max_pool2d(image, *options, op=op)
    saved, shape = index, image.shape
    if image is not x.array:
        out, index = _line(out), _line(index)
    y = record(op, out, (x,), _max_backward, (saved,), (shape, options))
    return (y, wrap(cast(index, "int64"))) if return_indices else y


def _max_backward(node: Node, dy: Array) -> Gradients:
    (index,) = node.saved
    shape, options = node.constants
    if dy.shape == index.shape:
        return (pool.max_pool2d_backward(dy, index, shape, *options),)
    return (_line(pool.max_pool2d_backward(_one_row(dy), index, shape, *options)),)


def avg_pool2d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    r"""Mean of each window.

    Args:
        x: the images.
        kernel_size: height and width of the windows, an integer or two.
        stride: steps between windows; None is ``kernel_size``.
        padding: zeros around the image; at most half a window.
        ceil_mode: round the number of windows up: the last may hang over the edge.
        count_include_pad: the zeros of the padding count as items.
        divisor_override: divide the sums by this number instead of the number of items.

    Shape:
        ``x`` (n, c, h, w) or (c, h, w); result (..., oh, ow) with
        :math:`oh = \lfloor (h + 2 p - k) / s \rfloor + 1`.

    Raises:
        ShapeError, DtypeError, ArgumentError: as :func:`max_pool2d`.
    """
    x = _given("avg_pool2d", x, 2)
    options: Any = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _average("avg_pool2d", x, x.array, options)


def avg_pool1d(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """:func:`avg_pool2d` of sequences: ``x`` (n, c, l) or (c, l), options of one integer."""
    op = "avg_pool1d"
    x = _given(op, x, 1)
    k = _row(op, "kernel_size", kernel_size, 1)
    s = k if stride is None else _row(op, "stride", stride, 1)
    options: Any = (k, s, _row(op, "padding", padding, 0), ceil_mode, count_include_pad)
    return _average(op, x, _one_row(x.array), options)


def _average(op: str, x: Tensor, image: Array, options: Any) -> Tensor:
    out = pool.avg_pool2d(image, *options, op=op)
    out = out if image is x.array else _line(out)
    return record(op, out, (x,), _average_backward, (), (image.shape, options, image is x.array))


def _average_backward(node: Node, dy: Array) -> Gradients:
    shape, options, image = node.constants
    if image:
        return (pool.avg_pool2d_backward(dy, shape, *options),)
    return (_line(pool.avg_pool2d_backward(_one_row(dy), shape, *options)),)


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    r"""Mean of each of ``output_size`` windows that share the image as evenly as possible.

    Window o of m along an axis of n items holds :math:`\lfloor o n / m \rfloor` up to, but without,
    :math:`\lceil (o + 1) n / m \rceil`. With 1 it is global pooling.

    Args:
        x: the images.
        output_size: rows and columns of the result, an integer or two; None keeps that of ``x``.

    Shape:
        ``x`` (n, c, h, w) or (c, h, w); result (..., oh, ow).

    Raises:
        ShapeError, DtypeError, ArgumentError: as :func:`max_pool2d`.
    """
    op = "adaptive_avg_pool2d"
    x = _given(op, x, 2)
    a = x.array
    out = pool.adaptive_avg_pool2d(a, _output_size(x, output_size))
    return record(op, out, (x,), _adaptive_average_backward, (), (a.shape, True))


def adaptive_avg_pool1d(x: Tensor, output_size: Any) -> Tensor:
    """:func:`adaptive_avg_pool2d` of sequences: ``x`` (n, c, l) or (c, l)."""
    op = "adaptive_avg_pool1d"
    x = _given(op, x, 1)
    image = _one_row(x.array)
    out = pool.adaptive_avg_pool2d(image, _row(op, "output_size", output_size, 1), op=op)
    return record(op, _line(out), (x,), _adaptive_average_backward, (), (image.shape, False))


def _adaptive_average_backward(node: Node, dy: Array) -> Gradients:
    shape, image = node.constants
    if image:
        return (pool.adaptive_avg_pool2d_backward(dy, shape),)
    return (_line(pool.adaptive_avg_pool2d_backward(_one_row(dy), shape)),)


def adaptive_max_pool2d(x: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Largest item of each of the windows of :func:`adaptive_avg_pool2d`.

    Args:
        x, output_size: as there.
        return_indices: also return the place of each maximum in its image, ``row * w + column``.
    """
    x = _given("adaptive_max_pool2d", x, 2)
    size = _output_size(x, output_size)
    return _adaptive_max("adaptive_max_pool2d", x, x.array, size, return_indices)


def adaptive_max_pool1d(x: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool2d` of sequences: ``x`` (n, c, l) or (c, l)."""
    op = "adaptive_max_pool1d"
    x = _given(op, x, 1)
    size = _row(op, "output_size", output_size, 1)
    return _adaptive_max(op, x, _one_row(x.array), size, return_indices)


def _adaptive_max(op: str, x: Tensor, image: Array, size: Any, return_indices: bool) -> Any:
    out, index = pool.adaptive_max_pool2d(image, size, op=op)
    saved, shape = index, image.shape
    if image is not x.array:
        out, index = _line(out), _line(index)
    y = record(op, out, (x,), _adaptive_max_backward, (saved,), shape)
    return (y, wrap(cast(index, "int64"))) if return_indices else y


def _adaptive_max_backward(node: Node, dy: Array) -> Gradients:
    (index,) = node.saved
    if dy.shape == index.shape:
        return (pool.adaptive_max_pool2d_backward(dy, index, node.constants),)
    return (_line(pool.adaptive_max_pool2d_backward(_one_row(dy), index, node.constants)),)


def _given(op: str, x: Tensor, axes: int) -> Tensor:
    """``x`` as a tensor, after checking that it has the channels and the axes to pool."""
    x = as_tensor(x, op, "x")
    if x.ndim not in (axes + 1, axes + 2):
        wanted = "(n, c, l) or (c, l)" if axes == 1 else "(n, c, h, w) or (c, h, w)"
        raise ShapeError(f"{op}: x: shape {x.shape} given, expected {wanted}")
    return x


def _row(op: str, name: str, value: Any, unit: int) -> tuple[int, int]:
    """An option of one axis, an integer or a tuple of one, as that of an image of one row."""
    item = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value
    if isinstance(item, bool) or not hasattr(item, "__index__") or item < unit:
        raise ArgumentError(f"{op}: {name}: {value!r} given, expected an integer >= {unit}")
    return unit, item


def _output_size(x: Tensor, value: Any) -> Any:
    items = value if isinstance(value, (tuple, list)) else (value, value)
    if len(items) != 2:
        return value  # refused by the launcher
    return tuple(n if item is None else item for item, n in zip(items, x.shape[-2:]))


def _one_row(a: Array) -> Array:
    """(..., l) as (..., 1, l)."""
    return a[..., None, :]


def _line(a: Array) -> Array:
    """(..., 1, l) as (..., l)."""
    return a[..., 0, :]
