"""Dropout of items and of whole channels."""

from __future__ import annotations

from .. import random
from ..autograd import Gradients, Node
from ..errors import ShapeError
from ..kernels import dropout as dropout_kernels
from ..kernels.checks import require_between, require_option
from ..kernels.elementwise import fill
from ..kernels.engine import Array, empty
from ..kernels.engine.replay import repeated
from ..tensor import Tensor, as_tensor, record, wrap
from .arithmetic import mul

SEEDS = 2**63


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    r"""Drop items with probability p and divide the others by :math:`1 - p`.

    The mask comes from a seed that is drawn from the generator of :func:`nnlite.manual_seed`; the
    same seed gives the same mask on every device.

    Args:
        x: any shape.
        p: probability in [0, 1].
        training: False returns ``x`` unchanged.

    Raises:
        DtypeError: ``x`` is not of float dtype.
        ArgumentError: p is not in [0, 1].
    """
    x = as_tensor(x, "dropout", "x")
    require_between("dropout", "p", p, 0.0, 1.0)
    require_option("dropout", "training", training, (False, True))
    if not training or p == 0.0:
        return x
    seed = [0]
    out = _drop_anew(x.array, p, seed)
    return record("dropout", out, (x,), _dropout_backward, (), (p, seed))


def _drop_anew(x: Array, p: float, seed: list[int]) -> Array:
    """Dropout with a new seed, which is left in ``seed``; in a graph, with one for each replay."""

    def drop() -> Array:
        seed[0] = int(random.generator().integers(SEEDS))
        return dropout_kernels.dropout(x, p, seed[0])

    return repeated(drop)


def _dropout_backward(node: Node, dy: Array) -> Gradients:
    p, seed = node.constants
    return (repeated(lambda: dropout_kernels.dropout(dy, p, seed[0])),)


def dropout1d(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Drop whole channels of sequences, (n, c, l) or (c, l); otherwise as :func:`dropout`."""
    return _channels("dropout1d", x, p, training, 1)


def dropout2d(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Drop whole channels of images, (n, c, h, w) or (c, h, w); otherwise as :func:`dropout`."""
    return _channels("dropout2d", x, p, training, 2)


def _channels(op: str, x: Tensor, p: float, training: bool, axes: int) -> Tensor:
    x = as_tensor(x, op, "x")
    require_between(op, "p", p, 0.0, 1.0)
    require_option(op, "training", training, (False, True))
    if x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, expected {axes + 1} axes, or {axes + 2} with a batch"
        )
    if not training or p == 0.0:
        return x
    ones = fill(empty((*x.shape[:-axes], *(1,) * axes), x.dtype, x.device), 1.0)
    return mul(x, wrap(_drop_anew(ones, p, [0])))
