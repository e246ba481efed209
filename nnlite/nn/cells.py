"""Recurrent cells: one step of RNN, LSTM or GRU, and what they share with the layers."""

from __future__ import annotations

import math
import numbers
from typing import Any

from .. import init
from ..errors import ArgumentError, ShapeError
from ..functional.recurrent import GATES, recurrent
from ..kernels.engine import Device, empty, zeros
from ..tensor import Tensor, wrap
from .module import Module
from .parameter import Parameter


def checked_nonlinearity(name: str, nonlinearity: Any) -> str:
    """``nonlinearity`` if there is such a network; else ArgumentError."""
    if nonlinearity not in ("tanh", "relu"):
        raise ArgumentError(
            f"{name}: nonlinearity: {nonlinearity!r} given, expected 'tanh' or 'relu'"
        )
    return nonlinearity


class Recurrent(Module):
    """What layers and cells share: sizes, and parameters for one cell of some kind."""

    kind: str  # that of nnlite.functional.recurrent

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
            self._require_size(name, value)
        self.input_size, self.hidden_size, self.bias = int(input_size), int(hidden_size), bias

    def _require_size(self, name: str, value: Any) -> None:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ArgumentError(
                f"{type(self).__name__}: {name}: {value!r} given, expected an integer above 0"
            )

    def _add_parameters(self, inputs: int, suffix: str, device: Any, dtype: Any) -> None:
        rows = GATES[self.kind] * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, self.hidden_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            self.register_parameter(name + suffix, Parameter(empty(shape, dtype, device)))

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _parameters_of(self, suffix: str) -> list[Any]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [
            getattr(self, name + suffix) if self.bias or i < 2 else None
            for i, name in enumerate(names)
        ]

    def _zeros(self, like: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
        count = 2 if self.kind == "lstm" else 1
        return tuple(wrap(zeros(shape, like.dtype, like.device)) for _ in range(count))

    def _require_state(self, state: tuple[Any, ...], shape: tuple[int, ...]) -> None:
        name = type(self).__name__
        count = 2 if self.kind == "lstm" else 1
        if len(state) != count or not all(isinstance(s, Tensor) for s in state):
            raise ArgumentError(f"{name}: state: expected {count} tensors")
        for s in state:
            if s.shape != shape:
                raise ShapeError(f"{name}: state: shape {s.shape} given, expected {shape}")


class _Cell(Recurrent):
    """One step of a recurrent network."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._add_parameters(self.input_size, "", device, dtype)
        self.reset_parameters()

    def forward(self, x: Tensor, state: Any = None) -> Any:
        name = type(self).__name__
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: x: shape {x.shape} given, expected 1 or 2 axes, the last of "
                f"{self.input_size}"
            )
        rows = x.shape[0] if x.ndim == 2 else 1
        shape = (rows, self.hidden_size)
        if state is None:
            given = self._zeros(x, shape)
        else:
            given = tuple(state) if self.kind == "lstm" else (state,)
            self._require_state(given, shape if x.ndim == 2 else shape[1:])
            given = tuple(s.reshape(*shape) for s in given)
        sequence = x.reshape(1, rows, self.input_size)
        _, *last = recurrent(self.kind, sequence, given, *self._parameters_of(""))
        if x.ndim == 1:
            last = [s.reshape(self.hidden_size) for s in last]
        return tuple(last) if self.kind == "lstm" else last[0]

    def extra_repr(self) -> str:
        """As PyTorch's."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    r"""One step of Elman's network: :math:`h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})`.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: number m of hidden units.
        bias: add the biases.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (n, in) or (in,); state (n, m) or (m,), None for zeros; returns the new state.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: (m, in), (m, m), (m,), (m,).
    """

    kind = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        kind = checked_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.kind = self.nonlinearity = kind


class LSTMCell(_Cell):
    """One step of a long short-term memory; the formulas are those of :class:`LSTM`.

    Args:
        input_size, hidden_size, bias, device, dtype: as :class:`RNNCell`.

    Shape:
        input (n, in) or (in,); state: a pair of hidden state and cell, (n, m) or (m,) each, None
        for zeros; returns the new pair.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: (4 m, in), (4 m, m), (4 m,), (4 m,): the gates i,
            f, g, o one below the other.

    Examples:
        >>> cell = nl.nn.LSTMCell(10, 20)
        >>> h, c = cell(x)
        >>> h, c = cell(x, (h, c))
    """

    kind = "lstm"


class GRUCell(_Cell):
    """One step of a gated recurrent unit; the formulas are those of :class:`GRU`.

    Args:
        input_size, hidden_size, bias, device, dtype: as :class:`RNNCell`.

    Shape:
        as :class:`RNNCell`.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: (3 m, in), (3 m, m), (3 m,), (3 m,): the gates r,
            z, n one below the other.
    """

    kind = "gru"
