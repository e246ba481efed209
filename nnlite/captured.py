"""One step of ``nl.graph`` for arguments of certain shapes: run, captured, verified, replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from . import trees
from .kernels.elementwise import copy
from .kernels.engine import Array, Device
from .kernels.engine.replay import here
from .tensor import Tensor, wrap

ATTEMPTS = 4  # captures of one step, none of which lasted, before it is given up
LASTING = 50  # replays after which a capture has paid


class Captured:
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

    @property
    def paid(self) -> bool:
        """Whether the capture has been worth its time."""
        return self._replays >= LASTING

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
