"""``nl.graph``: a whole training step as one piece of work for a GPU.

A training step of a small network is a hundred short launches, and the Python code around them can
take longer than the GPU. :func:`graph` runs a step a few times, captures its GPU work as a CUDA
graph, and from then on hands the GPU the whole graph at once.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from . import trees
from .autograd import mode
from .captured import Captured
from .errors import ArgumentError
from .kernels.engine import Device, default_device
from .kernels.engine.replay import here
from .kernels.matmul import get_float32_matmul_precision
from .tensor import Tensor

SHAPES = 8  # captured steps kept, of different shapes of the arguments
RETURNS = 2 * SHAPES  # shapes that came again after their capture had to go before it had paid
REMEMBERED = 1024  # shapes whose capture had to go


def graph(step: Callable[..., Any]) -> GraphedStep:
    """A function that does what ``step`` does, on a GPU as a replayed CUDA graph.

    The first call runs ``step``: kernels are compiled, optimizers make their state. The second
    captures it, the third compares it with what was captured, and every further one copies the
    arguments into place and replays it without running its Python code. The result is that of
    calling ``step``, bit for bit. Each shape of the arguments, ``train()`` and ``eval()``,
    ``no_grad()`` and each precision of products have a graph of their own; of more than 8, the one
    not needed for longest goes. If those come back again and again, one RuntimeWarning says that
    nothing more is captured: the graphs there are stay, all else runs ``step``. An option of an
    optimizer other than the learning rate, parameters that ``Module.to`` or an optimizer's first
    step has put elsewhere: with these it is captured anew.

    In a replay, step counts and learning rates of ``nl.optim``, their schedules, the seeds of
    dropout and the counts of batch normalisation go on as they should. Other numbers that the host
    computes do not reach the GPU, nor does what else only Python code looks at. If the third call
    shows that there are such numbers, or if the step does what no graph can hold - it reads a
    result on the host (``item()``, ``numpy()``), copies data from the host, prints in a kernel -
    then one RuntimeWarning says why, and every call runs ``step``.

    Args:
        step: takes and returns tensors, also in tuples, lists and dicts; other arguments must be
            hashable and choose the graph by their value.

    Returns:
        The function, for one thread and one stream at a time. What it returns is not recorded for
        gradients, and on a GPU the tensors in it are the same in each call: the next one overwrites
        them. Copy what is to be kept. So are the gradients of the parameters. On a CPU it calls
        ``step``.

    Raises:
        ArgumentError: ``step`` cannot be called.

    Example:
        >>> @nl.graph
        ... def step(x, y):
        ...     loss = F.cross_entropy(model(x), y)
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss
        >>> for x, y in loader:
        ...     loss = step(x, y)
    """
    if not callable(step):
        raise ArgumentError(f"graph: step: {step!r} given, expected a function")
    return GraphedStep(step)


class GraphedStep:
    """What :func:`graph` returns.

    Attributes:
        reason: why the step runs without a graph; empty as long as it need not.
        captures, replays: how many calls captured and replayed it.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self.reason = ""
        self.captures = self.replays = 0
        self._found: OrderedDict[Any, Captured] = OrderedDict()
        self._gone: set[int] = set()  # hashes of the keys of those that had to go too early
        self._returns = 0
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tensors: list[Tensor] = []
        key = trees.key((args, kwargs), tensors)
        device = next((t.device for t in tensors if not t.device.is_cpu), default_device())
        if device.is_cpu or self.reason or here.recorder is not None:
            return trees.detached(self.step(*args, **kwargs))
        problem = trees.unfit(key, tensors, device)
        if problem:
            return self._give_up(problem, lambda: self.step(*args, **kwargs))
        settings = mode.enabled, get_float32_matmul_precision()
        found = self._captured_for((device, key, settings), device)
        if found is None:
            return trees.detached(self.step(*args, **kwargs))
        result = found((args, kwargs), tensors)
        self.captures += found.did == "captured"
        self.replays += found.did == "replayed"
        if found.reason:
            self._give_up(found.reason, lambda: None)
        return result

    def _captured_for(self, key: Any, device: Device) -> Captured | None:
        first = self._found.get(key)
        if first is not None:
            self._found.move_to_end(key)  # also where it is only the way to one of another mode
            if not first.modes_hold():  # since train() or eval()
                key = key, tuple([module.training for module, _ in first.modes])
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= SHAPES and not self._make_room(hash(key)):
                return None
            found = self._found[key] = Captured(self.step, device)
        self._found.move_to_end(key)
        return found

    def _make_room(self, coming: int) -> bool:
        """Let the capture go that was not needed for longest, unless those come back too often."""
        if coming in self._gone and self._returns < RETURNS:
            self._gone.remove(coming)
            self._returns += 1
            if self._returns == RETURNS:
                warnings.warn(
                    f"graph: {_name_of(self.step)} is called with more than {SHAPES} shapes or "
                    f"values of arguments in turn: from now on {SHAPES} of them have a graph, the "
                    "others run without one; pad the arguments to fewer shapes",
                    RuntimeWarning,
                    stacklevel=4,
                )
        if self._returns == RETURNS:
            return False
        key, oldest = self._found.popitem(last=False)
        if not oldest.paid:
            if len(self._gone) == REMEMBERED:
                self._gone.clear()
            self._gone.add(hash(key))
        return True

    def _give_up(self, reason: str, step: Callable[[], Any]) -> Any:
        self.reason = reason
        self._found.clear()
        warnings.warn(
            f"graph: {_name_of(self.step)} runs without a graph from now on: {reason}",
            RuntimeWarning,
            stacklevel=3,
        )
        return trees.detached(step())


def _name_of(step: Callable[..., Any]) -> str:
    return getattr(step, "__name__", "the step")
