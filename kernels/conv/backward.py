"""Gradients of convolution and transposed convolution."""

from __future__ import annotations

from typing import Any

from ..checks import require_float, require_like, require_shape
from ..engine import Array, empty
from .geometry import geometry, kernel_of, key_of, pair
from .passes import biases, gather, image_of, spread, weights

Needs = tuple[bool, bool, bool]
Gradients = tuple[Array | None, Array | None, Array | None]
ALL: Needs = (True, True, True)


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    needs: Needs = ALL,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Gradients:
    """Gradients of ``conv2d``, and of ``conv1d`` for arguments of three axes.

    Args:
        dy: gradient of the output.
        x, w: arguments of the convolution.
        needs: which gradients are wanted.
        stride, padding, dilation, groups: options of the convolution.

    Returns:
        The gradients of x, weight and bias; None where not needed.

    Raises:
        ShapeError, DtypeError, DeviceError: dy is not like the output.
    """
    op, axes = "conv2d_backward", len(x.shape) - 2
    g = geometry(op, kernel_of(w.shape), key_of(stride), key_of(padding), key_of(dilation), axes)
    image = image_of(x)
    _require(op, dy, x, w.shape[0], g.output(image.shape[2:])[-axes:])
    flat, dx = image_of(dy), None
    if needs[0]:
        dx = empty(x.shape, x.dtype, x.device)
        spread(op, flat, image_of(w), None, image_of(dx), g, groups)
    dw = weights(flat, image, w.shape, g, groups) if needs[1] else None
    return dx, dw, biases(flat) if needs[2] else None


def conv_transpose2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    needs: Needs = ALL,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Gradients:
    """Gradients of ``conv_transpose2d``, and of ``conv_transpose1d`` for arguments of three axes.

    Arguments, results and errors as :func:`conv2d_backward`.
    """
    op, axes = "conv_transpose2d_backward", len(x.shape) - 2
    g = geometry(op, kernel_of(w.shape), key_of(stride), key_of(padding), key_of(dilation), axes)
    image = image_of(x)
    extra = pair(op, "output_padding", key_of(output_padding), 0, axes)
    size = g.transposed_output(image.shape[2:], extra)
    _require(op, dy, x, w.shape[1] * groups, size[-axes:])
    flat, dx = image_of(dy), None
    if needs[0]:
        dx = empty(x.shape, x.dtype, x.device)
        gather(op, flat, image_of(w), None, image_of(dx), g, groups)
    dw = weights(image, flat, w.shape, g, groups) if needs[1] else None
    return dx, dw, biases(flat) if needs[2] else None


def _require(op: str, dy: Any, x: Array, channels: int, size: tuple[int, ...]) -> None:
    require_float(op, "x", x)
    require_like(op, "dy", dy, "x", x)
    require_shape(op, "dy", dy, (x.shape[0], channels, *size))
