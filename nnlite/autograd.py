"""The tape: records which operations made a tensor and runs their gradients backwards.

An operation that has an input with ``requires_grad`` leaves a :class:`Node`: its gradient
function, what that function needs of the forward pass, and edges to the nodes of its inputs.
:func:`run` walks the nodes from the last made to the first. A node is always made after the nodes
of its inputs, so the order in which nodes were made is a topological order: a heap is enough, and
a graph of any depth needs no recursion.

Gradients travel as engine arrays. The tape adds up those that meet at one node with a function it
is given; it knows no kernel.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union

from .errors import AutogradError

if TYPE_CHECKING:
    from .kernels.engine import Array
    from .tensor import Tensor

Gradients = tuple[Any, ...]  # one Array or None per input
Edge = tuple[Union["Node", "Tensor"], int]  # a node and which of its outputs, or a leaf tensor
Hook = Callable[[Any], Any]  # a gradient, as an Array, to the one that takes its place

_order = itertools.count()


class Version:
    """Counts the in-place changes of one piece of memory; shared by the tensors that view it."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        self.changes = 0


class Node:
    """One recorded operation.

    Attributes:
        name: name of the operation, for messages.
        backward: ``backward(node, *dy) -> gradients``, one array or None for each input.
        edges: for each input, where its gradient goes; None if it needs none.
        saved: arrays of the forward pass; freed by the backward pass.
        guards: versions of the saved tensors and how often each had changed when it was saved.
        constants: what else ``backward`` needs (shapes, options); never freed.
        fresh: the gradients are new arrays that nothing else refers to, so a leaf may keep them
            and sums may be made in place.
        outputs: number of outputs.
        hooks: for an output, functions of its gradient that return it or another one, or None.
    """

    __slots__ = (
        "name",
        "backward",
        "edges",
        "saved",
        "guards",
        "constants",
        "fresh",
        "outputs",
        "order",
        "freed",
        "hooks",
    )

    def __init__(
        self,
        name: str,
        backward: Callable[..., Gradients],
        edges: tuple[Edge | None, ...],
        saved: tuple[Any, ...] = (),
        guards: tuple[tuple[Version, int], ...] = (),
        constants: Any = None,
        fresh: bool = True,
        outputs: int = 1,
    ) -> None:
        self.name = name
        self.backward = backward
        self.edges = edges
        self.saved: Any = saved
        self.guards = guards
        self.constants = constants
        self.fresh = fresh
        self.outputs = outputs
        self.order = next(_order)
        self.freed = False
        self.hooks: dict[int, dict[int, Hook]] | None = None

    def needs(self, i: int) -> bool:
        """True when the gradient of input ``i`` is wanted."""
        return self.edges[i] is not None

    def hooks_of(self, output: int) -> dict[int, Hook]:
        """The hooks of an output by number, to add to."""
        if self.hooks is None:
            self.hooks = {}
        return self.hooks.setdefault(output, {})

    def check(self) -> None:
        """Raise AutogradError if what was saved is gone or no longer what it was."""
        if self.freed:
            raise AutogradError(
                f"backward: {self.name}: the saved tensors were freed by an earlier backward pass "
                "through this graph; pass retain_graph=True to the earlier one"
            )
        for version, changes in self.guards:
            if version.changes != changes:
                raise AutogradError(
                    f"backward: {self.name}: a tensor it needs was changed in place after the "
                    f"forward pass ({version.changes - changes} times); its gradient would be wrong"
                )

    def release(self) -> None:
        """Let go of the saved arrays; the node can then not be run again."""
        if self.saved:
            self.saved = self.guards = ()
            self.freed = True


def run(
    root: Edge,
    grad: Array,
    accumulate: Callable[[Array, Array, bool], Array],
    retain_graph: bool = False,
) -> None:
    """Send ``grad`` from ``root`` back to every leaf.

    Args:
        root: where to begin.
        grad: gradient of the root's output; owned by the caller.
        accumulate: ``accumulate(total, new, owned) -> total + new``; may write to ``total`` if
            owned is True.
        retain_graph: keep the saved arrays for another backward pass.
    """
    grads: dict[Edge, Array] = {root: grad}
    owned: set[Edge] = set()
    waiting: dict[Tensor, Array] = {}  # leaves with hooks, which see the sum of a whole pass
    heap: list[tuple[int, Any]] = [(0, root[0])]
    while heap:
        node = heapq.heappop(heap)[1]
        if type(node) is not Node:  # the root is itself a leaf
            node.receive(_through(node._hooks, grad), False)
            return
        node.check()
        if node.hooks is not None:
            for output, hooks in node.hooks.items():
                if (node, output) in grads:
                    grads[(node, output)] = _through(hooks, grads[(node, output)])
        if node.outputs == 1:
            found = node.backward(node, grads.pop((node, 0)))
        else:
            found = node.backward(node, *[grads.pop((node, i), None) for i in range(node.outputs)])
        fresh = node.fresh
        for edge, dx in zip(node.edges, found):
            if edge is None or dx is None:
                continue
            target = edge[0]
            if type(target) is not Node:
                if target._hooks:  # type: ignore[union-attr]
                    total = waiting.get(target)  # type: ignore[arg-type]
                    dx = dx if total is None else accumulate(total, dx, False)
                    waiting[target] = dx  # type: ignore[index]
                else:
                    target.receive(dx, fresh)  # type: ignore[union-attr]
                continue
            total = grads.get(edge)
            if total is not None:
                grads[edge] = accumulate(total, dx, edge in owned)
                owned.add(edge)
                continue
            if target.outputs == 1 or not any((target, i) in grads for i in range(target.outputs)):
                heapq.heappush(heap, (-target.order, target))
            grads[edge] = dx
            if fresh:
                owned.add(edge)
        if not retain_graph:
            node.release()
    for leaf, total in waiting.items():
        leaf.receive(_through(leaf._hooks, total), False)


def _through(hooks: dict[int, Hook] | None, grad: Array) -> Array:
    """What the hooks, one after the other, make of a gradient."""
    for hook in list((hooks or {}).values()):
        grad = hook(grad)
    return grad


class _Mode(threading.local):
    """Whether operations are recorded; each thread has its own."""

    enabled = True


mode = _Mode()


class _SetMode(contextlib.ContextDecorator):
    """Context manager and decorator that sets the mode and restores it; may be nested."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._before: list[bool] = []

    def _recreate_cm(self) -> _SetMode:
        # A decorated function makes one for each call: calls may overlap in several threads.
        return _SetMode(self._enabled)

    def __enter__(self) -> None:
        self._before.append(mode.enabled)
        mode.enabled = self._enabled

    def __exit__(self, *exc: object) -> None:
        mode.enabled = self._before.pop()


def no_grad() -> _SetMode:
    """Record nothing: ``with no_grad():`` or ``@no_grad()``.

    Results inside have ``requires_grad=False`` and keep no intermediate values alive.

    Examples:
        >>> with nl.no_grad():
        ...     scores = model(x)
    """
    return _SetMode(False)


def enable_grad() -> _SetMode:
    """Record again inside a :func:`no_grad` block."""
    return _SetMode(True)


def is_grad_enabled() -> bool:
    """True when operations are recorded."""
    return mode.enabled
