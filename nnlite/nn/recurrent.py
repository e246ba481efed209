"""Recurrent layers: RNN, LSTM and GRU, with PyTorch's names and order of gates."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from ..errors import ShapeError
from ..functional.recurrent import joined, recurrent, stacked
from ..kernels.checks import require_between
from ..kernels.engine import Device
from ..tensor import Tensor
from .cells import Recurrent, checked_nonlinearity


class _Layer(Recurrent):
    """A stack of recurrent layers over a sequence."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._require_size("num_layers", num_layers)
        require_between(type(self).__name__, "dropout", dropout, 0.0, 1.0)
        self.num_layers, self.batch_first = int(num_layers), batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        directions = 2 if bidirectional else 1
        for layer in range(self.num_layers):
            inputs = self.hidden_size * directions if layer else self.input_size
            for suffix in ("", "_reverse")[:directions]:
                self._add_parameters(inputs, f"_l{layer}{suffix}", device, dtype)
        self.reset_parameters()

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        name = type(self).__name__
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: x: shape {x.shape} given, expected 2 or 3 axes, the last of "
                f"{self.input_size}"
            )
        single = x.ndim == 2
        if single:
            x = x.reshape(x.shape[0], 1, x.shape[1])
        elif self.batch_first:
            x = x.permute(1, 0, 2)
        directions = 2 if self.bidirectional else 1
        shape = (self.num_layers * directions, x.shape[1], self.hidden_size)
        if state is None:
            given = self._zeros(x, shape)
        else:
            given = tuple(state) if self.kind == "lstm" else (state,)
            self._require_state(given, shape[:1] + shape[2:] if single else shape)
            given = tuple(s.reshape(*shape) for s in given)
        x, last = self._run(x, given)
        if single:
            x = x.reshape(x.shape[0], x.shape[2])
            last = tuple(s.reshape(s.shape[0], s.shape[2]) for s in last)
        elif self.batch_first:
            x = x.permute(1, 0, 2)
        return x, last if self.kind == "lstm" else last[0]

    def _run(self, x: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        ends: list[list[Tensor]] = [[] for _ in given]
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            results = []
            for direction, suffix in enumerate(suffixes):
                first = tuple(s[layer * len(suffixes) + direction] for s in given)
                w = self._parameters_of(f"_l{layer}{suffix}")
                y, *last = recurrent(self.kind, x, first, w[0], w[1], w[2], w[3], direction == 1)
                results.append(y)
                for end, s in zip(ends, last):
                    end.append(s)
            x = joined(results, 2) if self.bidirectional else results[0]
        return x, tuple(stacked(end) for end in ends)

    def extra_repr(self) -> str:
        """As PyTorch's: the sizes, and what is not at its default."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        for name, default in (
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


class RNN(_Layer):
    r"""Elman's recurrent network, in any number of layers.

    .. math:: h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Source: J. Elman, "Finding Structure in Time", Cognitive Science 1990.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: number m of hidden units.
        num_layers: layers; each takes the outputs of the one before.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: add the biases.
        batch_first: the batch is the first axis of input and output (not of the states).
        dropout: share of the outputs of each layer but the last that is dropped in training.
        bidirectional: a second network runs backwards; their outputs lie side by side.
        device: where the parameters live; None is the default device.
        dtype: float32 or float64.

    Shape:
        input (steps, n, in), or (steps, in) for a single sequence; state (layers, n, m), with
        twice as many layers if bidirectional, or None for zeros. Returns the outputs
        (steps, n, m), 2 m if bidirectional, and the last state.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: (m, in), (m, m), (m,), (m,) of layer 0;
            ``_l1`` and so on of the others, with ``_reverse`` after it for the way back.

    Examples:
        >>> output, state = nl.nn.RNN(10, 20, num_layers=2)(x)
    """

    kind = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device | str | None = None,
        dtype: Any = "float32",
    ) -> None:
        kind = checked_nonlinearity("RNN", nonlinearity)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
        )
        self.kind = self.nonlinearity = kind


class LSTM(_Layer):
    r"""Long short-term memory, in any number of layers.

    .. math::
        i, f, o &= \sigma(W x_t + U h_{t-1} + b) \quad\text{with weights of their own} \\
        g &= \tanh(W_g x_t + U_g h_{t-1} + b_g) \\
        c_t &= f c_{t-1} + i g \\
        h_t &= o \tanh(c_t)

    Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 1997.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
            dtype: as :class:`RNN`.

    Shape:
        as :class:`RNN`; the state is a pair of hidden state and cell.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: (4 m, in), (4 m, m), (4 m,), (4 m,) of
            layer 0: the gates i, f, g, o one below the other; names as of :class:`RNN`.

    Examples:
        >>> output, (h, c) = nl.nn.LSTM(10, 20, batch_first=True)(x)
    """

    kind = "lstm"


class GRU(_Layer):
    r"""Gated recurrent units, in any number of layers.

    .. math::
        r, z &= \sigma(W x_t + b + U h_{t-1} + d) \quad\text{with weights of their own} \\
        n &= \tanh(W_n x_t + b_n + r (U_n h_{t-1} + d_n)) \\
        h_t &= (1 - z) n + z h_{t-1}

    Source: K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
            dtype: as :class:`RNN`.

    Shape:
        as :class:`RNN`.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: (3 m, in), (3 m, m), (3 m,), (3 m,) of
            layer 0: the gates r, z, n one below the other; names as of :class:`RNN`.
    """

    kind = "gru"
