"""Layers that change the size of images."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from ..tensor import Tensor
from .module import Module


class Upsample(Module):
    r"""Resample sequences or images; see :func:`nnlite.functional.interpolate`.

    Args:
        size: size of the result, an integer or one for each axis.
        scale_factor: instead of it, the factor of each axis, a number or one for each axis.
        mode: ``"nearest"``, ``"nearest-exact"``, ``"linear"`` for sequences, ``"bilinear"`` for
            images.
        align_corners: for the linear modes: the corner items of both images lie on each other.
        recompute_scale_factor: take the factors from the sizes instead of ``scale_factor``.

    Shape:
        input (n, c, l) or (n, c, h, w), output (n, c, ol) or (n, c, oh, ow).

    Examples:
        >>> nl.nn.Upsample(scale_factor=2)(nl.tensor(np.zeros((8, 16, 7, 7), np.float32))).shape
        (8, 16, 14, 14)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.size else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """:class:`Upsample` of images with mode ``"nearest"``.

    Args:
        size, scale_factor: as there.
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """:class:`Upsample` of images with mode ``"bilinear"`` and ``align_corners``.

    Args:
        size, scale_factor: as there.
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)
