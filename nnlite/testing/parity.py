"""``check_parity``: does a layer or a function give PyTorch's outputs, gradients and buffers?

PyTorch is imported when the check runs, not when this module is: it is a peer, no dependency.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..nn.module import Module
from ..tensor import Tensor, tensor


def check_parity(
    ours: Callable[..., Any],
    theirs: Any,
    *inputs: np.ndarray,
    bound: float,
    train: bool = True,
    floor: float = 0.0,
    seed: int = 0,
) -> None:
    """Run both on the same inputs, forward and backward, and compare everything they computed.

    A module of ours first takes over the parameters and buffers of PyTorch's, by their names. The
    outputs (tensors, or tuples and lists of them, nested) get random gradients; then outputs,
    gradients of the float inputs, gradients of the parameters, and buffers must agree: in shape,
    dtype, the places of NaN and infinities, and in value.

    Args:
        ours: a module or a function of nnlite.
        theirs: the same of PyTorch.
        inputs: NumPy arrays; those of float dtype are differentiated.
        bound: allowed difference of an array, relative to its largest absolute value. Integers
            must be equal.
        train: training or evaluation mode of the modules.
        floor: the value that ``bound`` is relative to at least: the size of the terms where a
            gradient cancels to almost nothing.
        seed: of the random gradients of the outputs.

    Raises:
        AssertionError: something differs; the message says what, where and by how much.

    Examples:
        >>> eps = float(np.finfo(np.float32).eps)
        >>> x = np.ones((3, 20), np.float32)
        >>> theirs = torch.nn.Linear(20, 5)
        >>> check_parity(nl.nn.Linear(20, 5), theirs, x, bound=4 * 20**0.5 * eps)
    """
    torch = importlib.import_module("torch")
    if isinstance(ours, Module):
        ours.load_state_dict({n: v.detach().numpy() for n, v in theirs.state_dict().items()})
        ours.train(train)
        theirs.train(train)
        ours.zero_grad()
        theirs.zero_grad(set_to_none=True)
    given = [tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    peers = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    outputs, expected = list(_flat(ours(*given))), list(_flat(theirs(*peers)))
    if len(outputs) != len(expected):
        raise AssertionError(f"{len(outputs)} outputs, PyTorch has {len(expected)}")

    def compare(what: str, found: Any, peer: Any) -> None:
        if (found is None) != (peer is None):
            raise AssertionError(f"{what}: {'ours' if found is None else 'PyTorch'} has none")
        if found is not None:
            _compare(what, found.numpy(), peer.detach().numpy(), bound, floor)

    for i, (y, z) in enumerate(zip(outputs, expected)):
        compare(f"output {i}", y, z)
    _backward(torch, outputs, expected, np.random.default_rng(seed))
    for i, (x, p) in enumerate(zip(given, peers)):
        compare(f"gradient of input {i}", x.grad, p.grad)
    if isinstance(ours, Module):
        for table in ("parameters", "buffers"):
            own = dict(getattr(ours, f"named_{table}")())
            other = dict(getattr(theirs, f"named_{table}")())
            if list(own) != list(other):
                raise AssertionError(f"{table} {list(own)}, PyTorch has {list(other)}")
            for name, t in own.items():
                if table == "parameters":
                    compare(f"gradient of {name}", t.grad, other[name].grad)
                else:
                    compare(f"buffer {name}", t, other[name])


def _flat(found: Any) -> Iterator[Any]:
    """The tensors of a result, in order; None left out."""
    if isinstance(found, (tuple, list)):
        for item in found:
            yield from _flat(item)
    elif found is not None:
        yield found


def _backward(torch: Any, outputs: list[Tensor], expected: list[Any], rng: Any) -> None:
    """Send the same random gradient into each output of both sides."""
    for i, (y, z) in enumerate(zip(outputs, expected)):
        if y.requires_grad != z.requires_grad:
            raise AssertionError(
                f"output {i}: requires_grad is {y.requires_grad}, in PyTorch {z.requires_grad}"
            )
        if y.requires_grad:
            # Away from zero, so that every element of the output counts.
            signs = rng.choice([-1.0, 1.0], y.shape)
            dy = np.asarray(rng.uniform(0.5, 2.0, y.shape) * signs).astype(y.dtype)
            y.backward(tensor(dy), retain_graph=True)
            z.backward(torch.tensor(dy), retain_graph=True)


def _compare(what: str, found: np.ndarray, peer: np.ndarray, bound: float, floor: float) -> None:
    if found.shape != peer.shape or found.dtype != peer.dtype:
        raise AssertionError(
            f"{what}: {found.dtype}{found.shape}, PyTorch has {peer.dtype}{peer.shape}"
        )
    if found.dtype.kind != "f":
        wrong = found != peer
        allowed = 0.0
    else:
        finite = np.isfinite(peer)
        allowed = bound * max(float(np.max(np.abs(peer), where=finite, initial=0.0)), floor)
        with np.errstate(invalid="ignore"):
            close = np.abs(found.astype(np.float64) - peer) <= allowed
        same = (found == peer) | (np.isnan(found) & np.isnan(peer))
        wrong = ~np.where(finite, close, same)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{what}: {int(wrong.sum())} of {wrong.size} elements differ; first at {at}: got "
            f"{found[at]!r}, PyTorch has {peer[at]!r}, allowed difference {allowed:.3g}"
        )
