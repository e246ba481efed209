"""What a graph of GPU work has to be told by the code that is captured.

A captured step of training is replayed without running its Python code. What that code computes on
the host for its kernels - a step count, a learning rate, a seed - would stay as it was, so such
code runs through :func:`repeated`, which runs it again before each replay, and lets what it
launches update the captured launches. What need not be in the graph runs through
:func:`afterwards`. Outside of graphs, on a CPU in particular, both just call what they are given.
Capturing is in ``gpu.recorder``.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .memory import Array

T = TypeVar("T")


class _Here(threading.local):
    """What a thread uses.

    Attributes:
        index, stream: a GPU and the stream of it that the work of this thread goes to; the other
            GPUs have the default stream.
        recorder: takes the work instead of the driver, while a graph is captured or rerun.
        received: if not None, called with each tensor that is about to receive a gradient.
        looked: if not None, called with each module that looks at its mode, training or not.
    """

    index = 0
    stream = 0
    recorder: Any = None
    received: Callable[[Any], None] | None = None
    looked: Callable[[Any], Any] | None = None


here = _Here()

beside: set[tuple[int, int]] = set()
"""Streams of ``nl.Stream`` beside the default ones: number of the GPU, handle."""


def rebound(before: Any) -> None:
    """Say that a tensor will have another array than ``before``: graphs that work on it end."""
    buffer = getattr(before, "buffer", None)  # none on a CPU
    if buffer is not None:
        buffer.leave()


class Rebinding(property):
    """The attribute ``name``, an array: :func:`rebound` is called when it is set to another one.

    Example:
        >>> class Tensor:
        ...     __slots__ = ("_array",)
        ...     array = Rebinding("_array")
    """

    def __init__(self, name: str) -> None:
        def give(owner: Any, array: Array) -> None:
            before = getattr(owner, name)
            if array is not before:
                rebound(before)
                setattr(owner, name, array)

        super().__init__(operator.attrgetter(name), give)

    if TYPE_CHECKING:

        def __get__(self, instance: Any, owner: Any = None) -> Array: ...  # type: ignore[override]


def repeated(function: Callable[[], T], depends_on: Callable[[], Any] = lambda: None) -> T:
    """Call ``function`` now, and again before each replay of a graph that is being captured.

    Its launches must be the same each time but for the arguments. Code that it does not contain
    must not depend on what it returns other than through arrays.

    Args:
        depends_on: what decides which launches those are; if it returns another value than when
            the graph was captured, the graph is not replayed but captured anew. The items of a
            tuple or list are compared one by one, by identity or else by ``==``.
    """
    if here.recorder is None:
        return function()
    return here.recorder.section(function, depends_on)


def afterwards(function: Callable[[], None]) -> None:
    """Call ``function`` now; if a graph is being captured, after it and after each replay.

    For work that nothing in the step depends on and that no graph can hold, such as writing down a
    number that the host has counted.
    """
    if here.recorder is None:
        function()
    else:
        here.recorder.later(function)


def works_on(arrays: tuple[Any, ...], stream: int | None = None) -> None:
    """Say what memory the work needs that is queued next, also if it is not among its arguments.

    A graph that is being captured keeps it. If it belongs to another stream, that one uses it again
    only after the work.

    Args:
        arrays: the arrays among them, in tuples too, count.
        stream: where the work will be queued; None is the stream that this thread uses.
    """
    if here.recorder is not None:
        here.recorder.hold(arrays)
    elif beside:
        for a in arrays:
            if isinstance(a, tuple):
                works_on(a, stream)
            elif (buffer := getattr(a, "buffer", None)) is not None:
                used = here.stream if here.index == a.device.index else 0
                buffer.used_in(used if stream is None else stream)
