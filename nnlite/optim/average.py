"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..kernels.checks import FLOAT32, require_like, require_shape
from ..kernels.engine import Array, array
from ..kernels.update import Tensors, average_many, average_update
from ..tensor import Tensor
from .buckets import Slab, moved


class ExponentialMovingAverage:
    r"""Keeps an average of the weights of a model, often better than the weights themselves.

    .. math:: a \leftarrow d a + (1 - d) \theta

    The average begins as a copy of the weights. All of it lies in one stretch of memory, which one
    launch updates; on a GPU it finds float32 weights where they lie, else they are copied together.

    Source: B. Polyak and A. Juditsky, 1992; A. Tarvainen and H. Valpola, "Mean teachers are better
    role models", NeurIPS 2017.

    Args:
        params: the parameters, of one dtype and device.
        decay: :math:`d`, in [0, 1].

    Attributes:
        averages: an array for each parameter.
        decay: as given; may be changed.

    Raises:
        ArgumentError: no parameter, several dtypes or devices, or a decay out of range.

    Examples:
        >>> average = nl.optim.ExponentialMovingAverage(model.parameters(), decay=0.99)
        >>> optimizer.step()
        >>> average.update()
        >>> with average.applied():  # the model has the average weights
        ...     nl.evaluate(model, data.test)
    """

    def __init__(self, params: Iterable[Tensor], decay: float = 0.999) -> None:
        self._params = list(params)
        name = type(self).__name__
        kinds = {(p.dtype, p.device) for p in self._params}
        if len(kinds) != 1:
            raise ArgumentError(
                f"{name}: params: {len(self._params)} of {len(kinds)} dtypes and devices given, "
                "expected at least one, and all of one dtype and device"
            )
        if not isinstance(decay, (int, float)) or not 0 <= decay <= 1:
            raise ArgumentError(f"{name}: decay: {decay!r} given, expected a number in [0, 1]")
        self.decay = decay
        self._make()
        for p, a in zip(self._params, self.averages):
            a.copy_from(p.array)

    def _make(self) -> None:
        shapes = [p.shape for p in self._params]
        first = self._params[0]
        self._slab = Slab(shapes, first.dtype, first.device)
        self.averages: list[Array] = self._slab.views
        self._listed = not first.device.is_cpu and first.dtype == FLOAT32
        if not self._listed:
            self._given = Slab(shapes, first.dtype, first.device)
        self._tensors: Tensors | None = None

    def update(self) -> None:
        """Move the averages towards the present weights.

        Raises:
            DtypeError, DeviceError, ShapeError: a parameter is no longer like the first one, or has
                another shape than its average. Nothing is changed then.
        """
        first, held = self._params[0], self.averages
        op = f"{type(self).__name__}.update"
        for i, (p, a) in enumerate(zip(self._params, held)):
            require_like(op, f"parameter {i}", p.array, "parameter 0", first.array)
            require_shape(op, f"parameter {i}", p.array, a.shape)
        if held[0].dtype != first.dtype or held[0].device != first.device:  # Module.to
            self._make()
            for view, old in zip(self.averages, held):
                view.copy_from(moved(old, view.dtype, view.device))
        if self._listed:
            if self._tensors is None:
                self._tensors = Tensors(self.averages, [])
            average_many(self._tensors.with_grads([p.array for p in self._params]), self.decay)
            return
        for p, view in zip(self._params, self._given.views):
            view.copy_from(p.array)
        average_update(self._slab.memory, self._given.memory, self.decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the parameters have the average values; afterwards their own again."""
        own = [p.array.copy() for p in self._params]
        try:
            self.copy_to()
            yield
        finally:
            for p, a in zip(self._params, own):
                p.array.copy_from(a)
                p.mark_changed()

    def copy_to(self) -> None:
        """Give the parameters the average values."""
        for p, a in zip(self._params, self.averages):
            p.array.copy_from(moved(a, p.dtype, p.device))
            p.mark_changed()

    def state_dict(self) -> dict[str, Any]:
        """The decay and copies of the averages, on the host, by the number of the parameter."""
        arrays = {f"average.{i}": a.numpy() for i, a in enumerate(self.averages)}
        return {"decay": self.decay, **arrays}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; nothing changes if it does not fit.

        Raises:
            ArgumentError: a key is missing or unknown.
            ShapeError: an average does not have the shape of its parameter.
        """
        name = f"{type(self).__name__}.load_state_dict"
        keys = {"decay", *(f"average.{i}" for i in range(len(self.averages)))}
        if keys != set(state_dict):
            raise ArgumentError(f"{name}: keys {sorted(state_dict)} given, expected {sorted(keys)}")
        values = []
        for i, a in enumerate(self.averages):
            value = state_dict[f"average.{i}"]
            if not isinstance(value, (np.ndarray, Array)) or value.shape != a.shape:
                shape = getattr(value, "shape", type(value).__name__)
                raise ShapeError(f"{name}: average.{i}: {shape} given, expected {a.shape}")
            values.append(array(value, a.dtype, a.device))
        for a, value in zip(self.averages, values):
            a.copy_from(value)
        self.decay = state_dict["decay"]
