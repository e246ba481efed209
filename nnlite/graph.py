"""``nl.graph``: a whole training step as one piece of work for a GPU.

A training step of a small network is a hundred short launches, and the Python code around them can
take longer than the GPU. :func:`graph` runs a step a few times, captures its GPU work as a CUDA
graph, and from then on hands the GPU the whole graph at once.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from . import trees
from .autograd import mode
from .errors import ArgumentError
from .kernels.elementwise import copy
from .kernels.engine import Array, Device, default_device
from .kernels.engine.replay import here
from .kernels.matmul import get_float32_matmul_precision
from .tensor import Tensor, wrap

SHAPES = 8  # captured steps kept, of different shapes of the arguments
ATTEMPTS = 4  # captures of one step, none of which lasted, before it is given up
LASTING = 50  # replays after which a capture has paid


def graph(step: Callable[..., Any]) -> GraphedStep:
    """A function that does what ``step`` does, on a GPU as a replayed CUDA graph.

    The first call runs ``step``: kernels are compiled, optimizers make their state. The second
    captures it, the third compares it with what was captured, and every further one copies the
    arguments into place and replays it without running its Python code. The result is that of
    calling ``step``, bit for bit. Each shape of the arguments, ``train()`` and ``eval()``,
    ``no_grad()`` and each precision of products have a graph of their own. An option of an
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
        self._found: OrderedDict[Any, _Captured] = OrderedDict()
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
        result = found((args, kwargs), tensors)
        self.captures += found.did == "captured"
        self.replays += found.did == "replayed"
        if found.reason:
            self._give_up(found.reason, lambda: None)
        return result

    def _captured_for(self, key: Any, device: Device) -> _Captured:
        first = self._found.get(key)
        if first is not None and not first.modes_hold():  # since train() or eval()
            key = key, tuple([module.training for module, _ in first.modes])
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= SHAPES:
                self._found.popitem(last=False)
            found = self._found[key] = _Captured(self.step, device)
        self._found.move_to_end(key)
        return found

    def _give_up(self, reason: str, step: Callable[[], Any]) -> Any:
        self.reason = reason
        self._found.clear()
        warnings.warn(
            f"graph: {getattr(self.step, '__name__', 'the step')} runs without a graph from now "
            f"on: {reason}",
            RuntimeWarning,
            stacklevel=3,
        )
        return trees.detached(step())


class _Captured:
    """A step for arguments of certain shapes.

    Attributes:
        did: what the last call did: ``"ran"``, ``"captured"``, ``"verified"`` or ``"replayed"``.
        reason: why there will be no graph.
        modes: modules whose mode the step has looked at, and whether they were in training before
            the last call that looked, or after the first.
    """

    def __init__(self, step: Callable[..., Any], device: Device) -> None:
        self.step, self.device = step, device
        self.did = self.reason = ""
        self._attempts = self._replays = 0
        self._graph: Any = None
        self._verified = False
        self._inputs: list[Tensor] = []
        self._output: Any = None
        self._leaves: dict[int, _Leaf] = {}
        self.modes: list[tuple[Any, bool]] = []

    def modes_hold(self) -> bool:
        """Whether all modules are in the mode in which the step has found them."""
        return all(module.training == mode for module, mode in self.modes)

    def __call__(self, arguments: Any, given: list[Tensor]) -> Any:
        if self._graph is not None and not self._graph_holds():
            self._graph, self._verified = None, False
            self.did = ""  # state that has been replaced is moved into place before a capture
        if self._graph is None and (not self.did or self._attempts == ATTEMPTS):
            self._refuse_endless_captures()
            return self._run(arguments)
        if not self._inputs:
            self._inputs = [wrap(copy(t.array)) for t in given]
        for held, t in zip(self._inputs, given):
            _copy_into(held.array, t.array)
        if self._graph is None:
            return self._capture(arguments)
        if not self._verified:
            return self._verify(arguments)
        from .kernels.engine.gpu.recorder import replay

        self.did = "replayed"
        replay(self._graph)
        self._replays += 1
        if self._replays == LASTING:
            self._attempts = 0
        self._keep_grads()
        return self._output

    def _refuse_endless_captures(self) -> None:
        if self._attempts == ATTEMPTS:
            self.reason = f"it was captured {ATTEMPTS} times and had to be captured again soon"

    def _run(self, arguments: Any) -> Any:
        """Call the step, noting which tensors receive gradients."""
        self.did, self._leaves, self.modes = "ran", {}, []
        args, kwargs = arguments
        with self._noting():
            return trees.detached(self.step(*args, **kwargs))

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note which tensors receive gradients, and which modules look at their mode."""
        modes = {id(module): (module, module.training) for module, _ in self.modes}
        here.received = lambda leaf: self._leaves.setdefault(id(leaf), _Leaf(leaf)).see()
        here.looked = lambda module: modes.setdefault(id(module), (module, None))
        try:
            yield
        finally:
            here.received = here.looked = None
            self.modes = [(m, m.training if mode is None else mode) for m, mode in modes.values()]

    def _capture(self, arguments: Any) -> Any:
        from .kernels.engine.gpu.recorder import capture

        self.did = "captured"
        self._attempts += 1
        self._replays = 0
        for leaf in self._leaves.values():
            leaf.begin()
        args, kwargs = trees.replaced(arguments, iter(self._inputs))
        with self._noting():
            output, graph, recorder = capture(
                self.device.index, lambda: trees.detached(self.step(*args, **kwargs))
            )
        if recorder.reason:
            self.did = "ran"
            self.reason = recorder.reason if recorder.for_good else ""
            return output
        for leaf in self._leaves.values():
            leaf.end()
        self._graph, self._output = graph, output
        return output

    def _verify(self, arguments: Any) -> Any:
        from .kernels.engine.gpu.recorder import verify

        self.did = "verified"
        args, kwargs = trees.replaced(arguments, iter(self._inputs))
        output, recorder = verify(self._graph, lambda: trees.detached(self.step(*args, **kwargs)))
        if recorder.reason:
            self.did, self._graph = "ran", None
            self.reason = recorder.reason if recorder.for_good else ""
            return output
        self._verified = True
        self._keep_grads()
        return self._output

    def _graph_holds(self) -> bool:
        """Whether a call now would do what the captured one did."""
        grads = all(leaf.holds() for leaf in self._leaves.values())
        return grads and self.modes_hold() and self._graph.holds()

    def _keep_grads(self) -> None:
        """Give the leaves the gradients that the graph writes."""
        for leaf in self._leaves.values():
            leaf.tensor.grad = leaf.after


class _Leaf:
    """A tensor that receives gradients, and its ``grad`` around the captured call."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.before: Tensor | None = None
        self.first: Tensor | None = None
        self.after: Tensor | None = None
        self._seen = False

    def begin(self) -> None:
        """The captured call is about to begin."""
        self.before, self._seen = self.tensor.grad, False

    def see(self) -> None:
        """The tensor is about to receive a gradient; the first time counts."""
        if not self._seen:
            self.first, self._seen = self.tensor.grad, True

    def end(self) -> None:
        """The captured call has ended."""
        self.after = self.tensor.grad

    def holds(self) -> bool:
        """Whether a call now would treat the gradient as the captured one did."""
        if self.before is not None and self.first is None:  # the step has set it to None
            return True
        return self.tensor.grad is self.first


def _copy_into(target: Array, source: Array) -> None:
    target.copy_from(source if source.is_contiguous else copy(source))
