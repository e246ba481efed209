"""One recurrent layer over a whole sequence as one operation, and joining of its results."""

from __future__ import annotations

from typing import Any

from ..autograd import Gradients, Node, mode
from ..errors import ArgumentError, ShapeError
from ..kernels import elementwise
from ..kernels.bias import bias_grad
from ..kernels.checks import require_float, require_like, require_shape
from ..kernels.elementwise.convert import COPY
from ..kernels.engine import Array, empty, zeros
from ..kernels.matmul import matmul
from ..kernels.recurrent import (
    gru_step,
    gru_step_back,
    lstm_step,
    lstm_step_back,
    plain_step,
    plain_step_back,
)
from ..tensor import Tensor, as_tensor, record, wrap

# Kind of cell -> rows of the weights, and numbers kept for the gradient, per hidden unit.
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
KEPT = {"lstm": 4, "gru": 4, "tanh": 0, "relu": 0}


def recurrent(
    kind: str,
    x: Tensor,
    state: tuple[Tensor, ...],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    r"""One layer of a recurrent network in one direction; the formulas of its cell are in
    :mod:`nnlite.kernels.recurrent`.

    The products with the inputs of all steps are one kernel, and so is the gradient of each weight;
    a step is a product with the hidden state and one kernel for the gates.

    Args:
        kind: ``"lstm"``, ``"gru"``, ``"tanh"`` or ``"relu"``.
        x: the sequence.
        state: hidden state and, for LSTM, cell before the first step.
        weight_ih, weight_hh: weights of input and hidden state, the gates one below the other.
        bias_ih, bias_hh: both, or neither.
        reverse: begin with the last step.

    Shape:
        ``x`` (steps, n, in), ``state`` (n, m) each, ``weight_ih`` (g m, in), ``weight_hh``
        (g m, m), biases (g m,), with g = 4, 3, 1 for LSTM, GRU, plain; the results are
        (steps, n, m), then the last state: (n, m) each.

    Raises:
        ShapeError, DtypeError, DeviceError: the tensors do not fit each other.
        ArgumentError: an unknown kind, or one bias only.
    """
    x = as_tensor(x, "recurrent", "x")
    _check(kind, x, state, weight_ih, weight_hh, bias_ih, bias_hh)
    steps, n, features = x.shape
    m = weight_hh.shape[1]
    a = x.array if x.array.is_contiguous else elementwise.copy(x.array)
    flat = a.reshape((steps * n, features))
    bias = None if bias_ih is None else bias_ih.array
    gates = matmul(flat, weight_ih.array, transpose_b=True, bias=bias)
    gates = gates.reshape((steps, n, GATES[kind] * m))
    run = _Run(kind, steps, reverse, gates, state)
    run.forward(gates, weight_hh.array, None if bias_hh is None else bias_hh.array)
    biases = () if bias_ih is None or bias_hh is None else (bias_ih, bias_hh)
    return _recorded(run, flat, x, state, (weight_ih, weight_hh), biases)


class _Run:
    """The arrays of one pass over a sequence.

    Attributes:
        states, cells: hidden states (steps + 1, n, m) and cells, that before the first step too.
        kept: what the gradient of each step needs.
        order: (step, index of the state before, index of the state after), as they run.
    """

    def __init__(
        self, kind: str, steps: int, reverse: bool, like: Array, state: tuple[Tensor, ...]
    ) -> None:
        self.kind, self.steps = kind, steps
        n, m = state[0].shape
        self.order = [
            (t, t + 1, t) if reverse else (t, t, t + 1)
            for t in (reversed(range(steps)) if reverse else range(steps))
        ]
        first, self.last = (steps, 0) if reverse else (0, steps)
        self.memory = empty((steps + 1, n, m), like.dtype, like.device)
        self.states = [self.memory[i] for i in range(steps + 1)]
        self.states[first].copy_from(state[0].array)
        self.output = self.memory[: self.steps] if reverse else self.memory[1:]
        self.before = self.memory[1:] if reverse else self.memory[: self.steps]
        self.cells: list[Array] = []
        if kind == "lstm":
            cells = empty((steps + 1, n, m), like.dtype, like.device)
            self.cells = [cells[i] for i in range(steps + 1)]
            self.cells[first].copy_from(state[1].array)
        kept = empty((steps, n, KEPT[kind] * m), like.dtype, like.device)
        self.kept = [kept[i] for i in range(steps)]

    def forward(self, gates_x: Array, weight_hh: Array, bias_hh: Array | None) -> None:
        h, c, kept = self.states, self.cells, self.kept
        # The product with the transposed matrix takes half as long again: a copy soon pays.
        transposed = elementwise.copy(weight_hh.T) if self.steps > 2 else weight_hh.T
        for t, old, new in self.order:
            gates_h = matmul(h[old], transposed, bias=bias_hh)
            if self.kind == "lstm":
                lstm_step(gates_x[t], gates_h, c[old], kept[t], h[new], c[new])
            elif self.kind == "gru":
                gru_step(gates_x[t], gates_h, h[old], kept[t], h[new])
            else:
                plain_step(gates_x[t], gates_h, h[new], self.kind)

    def backward(
        self, dy: Array | None, dh: Array, dc: Array, weight_hh: Array
    ) -> tuple[Array, Array, Array]:
        """Gradients of the gates from input and from hidden state, and of the first state.

        ``dc`` is updated in place, for LSTM to the gradient of the first cell.
        """
        n, m = dh.shape
        h, c, kept, kind = self.states, self.cells, self.kept, self.kind
        shape = (self.steps, n, GATES[kind] * m)
        gates_x = empty(shape, dh.dtype, dh.device)
        gates_h = empty(shape, dh.dtype, dh.device) if kind == "gru" else gates_x
        none = None if dy is not None else zeros((n, m), dh.dtype, dh.device)
        for t, old, new in reversed(self.order):
            d = none if dy is None else dy[t]
            assert d is not None
            if kind == "lstm":
                lstm_step_back(d, dh, dc, kept[t], c[old], c[new], gates_x[t])
            elif kind == "gru":
                gru_step_back(d, dh, dc, kept[t], h[old], gates_x[t], gates_h[t])
            else:
                plain_step_back(d, dh, h[new], gates_x[t], kind)
            dh = matmul(gates_h[t], weight_hh)
        if kind == "gru":
            dh = elementwise.add(dh, dc)
        rows = (self.steps * n, shape[2])
        return gates_x.reshape(rows), gates_h.reshape(rows), dh


def _recorded(
    run: _Run,
    flat: Array,
    x: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor, ...],
) -> tuple[Tensor, ...]:
    """The results of a pass as tensors, with its node where a gradient may be asked for."""
    outputs = [wrap(run.output), wrap(run.states[run.last])]
    # The last state is part of the outputs' memory: a change of one is a change of the other.
    outputs[1].version = outputs[0].version
    if run.kind == "lstm":
        outputs.append(wrap(run.cells[run.last]))
    inputs = (x, *state, *weights, *biases)
    if mode.enabled and any(t.requires_grad for t in inputs):
        guarded = (x, *weights, outputs[0], outputs[-1])
        node = Node(
            "recurrent",
            _recurrent_backward,
            edges=tuple(t.edge() if t.requires_grad else None for t in inputs),
            saved=(flat, *(w.array for w in weights), run),
            guards=tuple((t.version, t.version.changes) for t in guarded),
            constants=len(biases),
            outputs=len(outputs),
        )
        for i, out in enumerate(outputs):
            out.attach(node, i)
    return tuple(outputs)


def _recurrent_backward(node: Node, dy: Array | None, *last: Array | None) -> Gradients:
    flat, weight_ih, weight_hh, run = node.saved
    shape = run.states[0].shape

    def dense(x: Array | None) -> Array:
        """A copy that may be written to; zeros for none."""
        return zeros(shape, flat.dtype, flat.device) if x is None else elementwise.copy(x)

    if dy is not None and not dy.is_contiguous:
        dy = elementwise.copy(dy)
    dc = dense(last[1] if run.kind == "lstm" else None)
    gates_x, gates_h, dh = run.backward(dy, dense(last[0]), dc, weight_hh)
    state = (dh, dc) if run.kind == "lstm" else (dh,)
    needs = [edge is not None for edge in node.edges]
    i = 1 + len(state)
    dx = None
    if needs[0]:
        dx = matmul(gates_x, weight_ih).reshape((run.steps, shape[0], flat.shape[1]))
    before = run.before.reshape((flat.shape[0], shape[1]))
    found = [
        dx,
        *state,
        matmul(gates_x, flat, transpose_a=True) if needs[i] else None,
        matmul(gates_h, before, transpose_a=True) if needs[i + 1] else None,
    ]
    if node.constants:
        db = bias_grad(gates_x)
        found += [db, bias_grad(gates_h) if gates_h is not gates_x else db.copy()]
    return tuple(found)


def _check(
    kind: str,
    x: Tensor,
    state: tuple[Tensor, ...],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
) -> None:
    op = "recurrent"
    if kind not in GATES:
        raise ArgumentError(f"{op}: kind: {kind!r} given, expected one of {', '.join(GATES)}")
    if (bias_ih is None) != (bias_hh is None):
        raise ArgumentError(f"{op}: one bias given, expected both or neither")
    a = x.array
    require_float(op, "x", a)
    if len(a.shape) != 3 or a.shape[0] == 0:
        raise ShapeError(f"{op}: x: shape {a.shape} given, expected (steps, n, in), a step or more")
    w = weight_hh.array
    rows = w.shape[0] if w.shape else 0
    m = rows // GATES[kind]
    expected: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "weight_hh": (weight_hh, (GATES[kind] * m, m)),
        "weight_ih": (weight_ih, (rows, a.shape[2])),
        "bias_ih": (bias_ih, (rows,)),
        "bias_hh": (bias_hh, (rows,)),
    }
    count = 2 if kind == "lstm" else 1
    if len(state) != count:
        raise ArgumentError(f"{op}: state of {len(state)} tensors given, expected {count}")
    expected |= {n: (s, (a.shape[1], m)) for n, s in zip(("hidden state", "cell"), state)}
    for name, (t, shape) in expected.items():
        if t is not None:
            require_like(op, name, as_tensor(t, op, name).array, "x", a)
            require_shape(op, name, t.array, shape)


def joined(tensors: list[Tensor], dim: int) -> Tensor:
    """Tensors of one shape side by side along the axis ``dim``."""
    arrays = [t.array for t in tensors]
    shape = list(arrays[0].shape)
    width = shape[dim]
    shape[dim] = width * len(arrays)
    out = empty(tuple(shape), arrays[0].dtype, arrays[0].device)
    places = [(*[slice(None)] * dim, slice(i * width, (i + 1) * width)) for i in range(len(arrays))]
    for place, a in zip(places, arrays):
        COPY(out[place], a)
    return record("joined", out, tuple(tensors), _joined_backward, (), places, fresh=False)


def _joined_backward(node: Node, dy: Array) -> Gradients:
    return tuple(dy[place] for place in node.constants)


def stacked(tensors: list[Tensor]) -> Tensor:
    """Tensors of one shape along a new first axis."""
    rows: list[Any] = [t.reshape(1, *t.shape) for t in tensors]
    return rows[0] if len(rows) == 1 else joined(rows, 0)
