"""Batch normalisation layers, with the parameters, buffers and names of PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from ..errors import ShapeError
from ..kernels.engine import Device, full, zeros
from ..kernels.engine.replay import afterwards
from ..tensor import Tensor, tensor
from .normalisation import Normalisation


class _BatchNorm(Normalisation):
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    RANKS: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Device | str | None = None,
        dtype: Any = "float32",
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.make_affine((num_features,), affine, affine and bias, dtype, device)
        tracked = track_running_stats
        shape = (num_features,)
        mean = Tensor(zeros(shape, dtype, device)) if tracked else None
        self.register_buffer("running_mean", mean)
        self.register_buffer(
            "running_var", Tensor(full(shape, 1, dtype, device)) if tracked else None
        )
        count = tensor(np.zeros((), np.int64), device=device) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        for buffer, value in (
            (self.running_mean, 0),
            (self.running_var, 1),
            (self.num_batches_tracked, 0),
        ):
            if buffer is not None:
                a = buffer.array
                a.copy_from(full(a.shape, value, a.dtype, a.device))
                buffer.mark_changed()

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self.RANKS:
            ranks = " or ".join(map(str, self.RANKS))
            raise ShapeError(
                f"{type(self).__name__}: x: shape {x.shape} given, expected {ranks} axes"
            )
        if x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: x: shape {x.shape} given, expected {self.num_features} "
                "channels"
            )
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        batch = self.training or mean is None
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and count is not None and self.momentum is None:
            momentum = 1.0 / (self._seen(count) + 1)
        tracked = (mean, var) if self.training or not batch else (None, None)
        y = F.batch_norm(x, *tracked, self.weight, self.bias, batch, momentum, self.eps)
        if self.training and count is not None:  # after what may refuse its arguments
            afterwards(lambda: self._add_to(count))
        return y

    def _add_to(self, count: Tensor) -> None:
        """Count a batch."""
        seen = self._seen(count) + 1
        count.array.copy_from(np.array(seen))
        count.mark_changed()
        self.__dict__["_counted"] = (count, count.version.changes, seen)

    def _seen(self, count: Tensor) -> int:
        """The number of batches; read from the device only where something else has changed it."""
        buffer, changes, seen = self.__dict__.get("_counted", (None, 0, 0))
        return seen if buffer is count and changes == count.version.changes else count.item()

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    r"""Batch normalisation of features or sequences; :func:`nnlite.functional.batch_norm`.

    Args:
        num_features: number of channels c.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None averages all batches.
        affine: learn weight and bias.
        track_running_stats: keep running statistics for evaluation; else it uses the batch too.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.
        bias: learn a bias, if ``affine``.

    Shape:
        input (n, c) or (n, c, l), output the same.

    Attributes:
        weight, bias: (c,), at first 1 and 0, or None.
        running_mean, running_var: (c,), at first 0 and 1, or None.
        num_batches_tracked: number of batches seen in training, or None.
    """

    RANKS = (2, 3)


class BatchNorm2d(_BatchNorm):
    r"""Batch normalisation of images; :func:`nnlite.functional.batch_norm`.

    Args, Attributes: as :class:`BatchNorm1d`.

    Shape:
        input (n, c, h, w), output the same.

    Examples:
        >>> nl.nn.BatchNorm2d(32)(nl.tensor(np.zeros((8, 32, 28, 28), np.float32))).shape
        (8, 32, 28, 28)
    """

    RANKS = (4,)


class _InstanceNorm(_BatchNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        (rank,) = self.RANKS
        if x.ndim not in (rank - 1, rank) or x.shape[-rank + 1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: x: shape {x.shape} given, expected {rank} axes, or "
                f"{rank - 1} for one item, with {self.num_features} channels"
            )
        mean, var = self.running_mean, self.running_var
        one = x.ndim < rank
        y = F.instance_norm(
            x.reshape(1, *x.shape) if one else x,
            *(mean, var),
            *(self.weight, self.bias),
            self.training or mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.reshape(*x.shape) if one else y


class InstanceNorm1d(_InstanceNorm):
    r"""Instance normalisation of sequences; :func:`nnlite.functional.instance_norm`.

    Args:
        num_features: number of channels c.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None is 0.
        affine: learn weight and bias.
        track_running_stats: keep running statistics, and use them in evaluation.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (n, c, l) or (c, l), output the same.

    Attributes:
        those of :class:`BatchNorm1d`; as in PyTorch, ``num_batches_tracked`` stays 0.
    """

    RANKS = (3,)


class InstanceNorm2d(_InstanceNorm):
    r"""Instance normalisation of images; :func:`nnlite.functional.instance_norm`.

    Args, Attributes: as :class:`InstanceNorm1d`.

    Shape:
        input (n, c, h, w) or (c, h, w), output the same.
    """

    RANKS = (4,)
