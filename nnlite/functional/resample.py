"""Up- and down-sampling of sequences and images."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import Gradients, Node
from ..errors import ArgumentError, ShapeError
from ..kernels.checks import require_number, require_option
from ..kernels.engine import Array
from ..kernels.resample import resample, resample_backward
from ..tensor import Tensor, as_tensor, record

# The modes by the number of axes; a sequence is resampled as an image of one row.
MODES = {
    3: ("nearest", "nearest-exact", "linear"),
    4: ("nearest", "nearest-exact", "bilinear"),
}


def interpolate(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    r"""Resample sequences or images to a given size or by a given factor.

    Args:
        x: the sequences or images.
        size: size of the result, an integer or one for each axis.
        scale_factor: instead of it, the factor of each axis, a number or one for each axis; the
            size is :math:`\lfloor \mathrm{size} \cdot \mathrm{factor} \rfloor`.
        mode: ``"nearest"`` (as OpenCV and PyTorch have it), ``"nearest-exact"`` (as scikit-image
            and Pillow have it), ``"linear"`` for sequences, ``"bilinear"`` for images.
        align_corners: for the linear modes: the corner items of both images lie on each other,
            rather than the corners of the corner items. None is False.
        recompute_scale_factor: take the factors from the sizes instead of ``scale_factor``.

    Shape:
        ``x`` (n, c, l) or (n, c, h, w), result (n, c, ol) or (n, c, oh, ow).

    Raises:
        ShapeError: ``x`` has other axes, or an empty one.
        DtypeError: ``x`` is not of float dtype.
        ArgumentError: an option is not in its range, or does not fit the others.
    """
    op = "interpolate"
    x = as_tensor(x, op, "x")
    if x.ndim not in MODES:
        raise ShapeError(f"{op}: x: shape {x.shape} given, expected (n, c, l) or (n, c, h, w)")
    require_option(op, "mode", mode, MODES[x.ndim])
    linear = mode.endswith("linear")
    if align_corners is not None and not linear:
        raise ArgumentError(
            f"{op}: align_corners: {align_corners!r} given with mode {mode!r}, expected None"
        )
    given = x.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"{op}: size, scale_factor: expected one of them, not both")
    scale: tuple[Any, ...] = (None,) * len(given)
    if size is None:
        factors = _each(op, "scale_factor", scale_factor, len(given))
        for factor in factors:
            require_number(op, "scale_factor", factor)
        size = tuple(math.floor(n * factor) for n, factor in zip(given, factors))
        scale = scale if recompute_scale_factor else factors
    size = _each(op, "size", size, len(given))
    sequence = len(given) == 1
    image = x.array[..., None, :] if sequence else x.array
    if sequence:
        size, scale = (1, *size), (None, *scale)
    options = ("bilinear" if linear else mode, bool(align_corners), scale)
    out = resample(image, size, *options)
    out = out[..., 0, :] if sequence else out
    return record(op, out, (x,), _interpolate_backward, (), (image.shape, options))


def _interpolate_backward(node: Node, dy: Array) -> Gradients:
    shape, options = node.constants
    if dy.ndim == len(shape):
        return (resample_backward(dy, shape, *options),)
    return (resample_backward(dy[..., None, :], shape, *options)[..., 0, :],)


def _each(op: str, name: str, value: Any, axes: int) -> tuple[Any, ...]:
    """An option for every axis."""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(items) != axes:
        raise ArgumentError(f"{op}: {name}: {value!r} given, expected {axes} values, or one")
    return items
