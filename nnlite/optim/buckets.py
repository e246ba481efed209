"""Buckets: parameters that one launch updates.

A launch costs some ten microseconds, an update of a bias of ten items nothing. On a GPU the float32
parameters of a group are *listed*: they stay where they are, and one launch finds them, their
gradients and their state by a table of places (``kernels.update.many``).

Elsewhere an optimizer moves the small parameters of a group into one stretch of memory, each
parameter now a view of it; their state lies side by side in the same order, and their gradients are
copied together before a step. A large parameter stays where it is: copying its gradient would cost
more than its own launch. So does one whose memory something else refers to (``p.detach()``, a view
of it), so that whoever looks at it goes on seeing it change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from ..kernels.checks import FLOAT32
from ..kernels.engine import Array, array, full, zeros
from ..kernels.update import Batch, Tensors
from ..tensor import Tensor

LARGE = 1 << 17  # items; copying 512 kB takes about as long as a launch
ALIGN = 64  # items, so that every view begins where its own allocation could
CHOICES = 8  # of parameters that have a gradient, whose tables are kept


class Slab:
    """One stretch of memory and, for each of some shapes, a view of it.

    Attributes:
        memory: all items, in one dimension; a few between the views are not used.
        views: an array for each shape.
        starts: where each begins.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, ...]], dtype: Any, device: Any, memory: Any = None
    ) -> None:
        self.starts: list[int] = []
        total = 0
        for shape in shapes:
            self.starts.append(total)
            total += -(-prod(shape) // ALIGN) * ALIGN
        if memory is None:
            memory = zeros((total,), dtype, device)
        self.memory: Array = memory
        self.views = [
            memory[start : start + prod(shape)].reshape(shape)
            for start, shape in zip(self.starts, shapes)
        ]
        self._parts: dict[tuple[int, int], Array] = {}  # asked for in every step

    def part(self, first: int, last: int) -> Array:
        """The memory from the view ``first`` to the end of the view ``last``."""
        found = self._parts.get((first, last))
        if found is None:
            found = self.memory[self.starts[first] : self.starts[last] + self.views[last].size]
            self._parts[first, last] = found
        return found


class Bucket:
    """Parameters that one launch can update: one, several small ones in a slab, or listed ones.

    Attributes:
        numbers: the numbers of the parameters in their optimizer.
        params: the parameters.
        arrays: their arrays; views of one slab if there are several that are not listed.
        state: a slab for each array of the state in use.
        listed: whether they stay where they are.
    """

    def __init__(
        self, numbers: Sequence[int], params: Sequence[Tensor], listed: bool = False
    ) -> None:
        self.numbers, self.params, self.listed = list(numbers), list(params), listed
        self.shapes = [p.shape for p in params]
        self.dtype, self.device = params[0].dtype, params[0].device
        self.state: dict[str, Slab] = {}
        self._parts: dict[tuple[int, int], tuple[Array, Array]] = {}
        self._tensors: dict[Any, Tensors] = {}
        if len(params) > 1 and not listed:
            self._slab = Slab(self.shapes, self.dtype, self.device)
            self._grads = Slab(self.shapes, self.dtype, self.device)
            for p, view in zip(params, self._slab.views):
                view.copy_from(p.array)
                p.array = view
        self.arrays = [p.array for p in params]

    def slab(self, name: str) -> Slab:
        """The slab of the state ``name``, of zeros if it is new."""
        found = self.state.get(name)
        if found is None:
            found = self.state[name] = Slab(self.shapes, self.dtype, self.device)
        return found

    def fetch(self, ready: Iterable[int]) -> None:
        """Copy the gradients of some parameters together."""
        if len(self.params) > 1:
            views, params = self._grads.views, self.params
            for i in ready:
                views[i].copy_from(params[i].grad.array)  # type: ignore[union-attr]

    def part(self, first: int, last: int) -> tuple[Array, Array]:
        """Items and fetched gradients of the parameters ``first`` to ``last``, as one array."""
        if len(self.params) == 1:
            return self.arrays[0], self.params[0].grad.array  # type: ignore[union-attr]
        found = self._parts.get((first, last))
        if found is None:
            found = self._slab.part(first, last), self._grads.part(first, last)
            self._parts[first, last] = found
        return found

    def part_of_state(self, name: str, first: int, last: int) -> Array:
        """The state ``name`` of the parameters ``first`` to ``last``, shaped as ``part``."""
        slab = self.state[name]
        return slab.views[0] if len(self.params) == 1 else slab.part(first, last)

    def batch(self, which: Sequence[int], names: tuple[str, ...]) -> Batch:
        """Some listed parameters, their gradients and the arrays ``names`` of their state."""
        key = (*which, names)
        found = self._tensors.get(key)
        if found is None:
            states = [[self.state[name].views[i] for i in which] for name in names]
            found = Tensors([self.arrays[i] for i in which], states)
            if len(self._tensors) == CHOICES:
                self._tensors.clear()
            self._tensors[key] = found
        return found.with_grads([self.params[i].grad.array for i in which])  # type: ignore[union-attr]


class Buckets:
    """The buckets of one parameter group, made anew when its parameters or their arrays change.

    Args:
        first: number of the first parameter of the group.
        params: its parameters.
        many: whether the optimizer can update listed ones.
    """

    def __init__(self, first: int, params: Sequence[Tensor], many: bool = False) -> None:
        self.first = first
        together: dict[Any, list[int]] = {}
        self.buckets: list[Bucket] = []
        listed = _listed(params) if many else {}
        for numbers in listed.values():
            bucket = Bucket([first + i for i in numbers], [params[i] for i in numbers], True)
            self.buckets.append(bucket)
        done = {i for numbers in listed.values() for i in numbers}
        for i, p in enumerate(params):
            if i in done:
                continue
            if p.size < LARGE and p.array.is_contiguous and _is_free(p):
                together.setdefault((p.dtype, p.device), []).append(i)
            else:
                self.buckets.append(Bucket([first + i], [p]))
        for numbers in together.values():
            bucket = Bucket([first + i for i in numbers], [params[i] for i in numbers])
            self.buckets.append(bucket)
        self._members = [(p, p.array) for p in params]

    def fit(self, first: int, params: Sequence[Tensor]) -> bool:
        """True if the buckets still hold exactly these parameters, and these their arrays."""
        return (
            first == self.first
            and len(params) == len(self._members)
            and all(p is q and p.array is a for p, (q, a) in zip(params, self._members))
        )


def _listed(params: Sequence[Tensor]) -> dict[Any, list[int]]:
    """By their GPU, the numbers of the parameters that one launch may update where they are.

    None of them shares memory with another parameter: their order would matter.
    """
    found: dict[Any, list[int]] = {}
    for i in apart([p.array for p in params]):
        if params[i].dtype == FLOAT32:
            found.setdefault(params[i].device, []).append(i)
    return {device: numbers for device, numbers in found.items() if len(numbers) > 1}


def apart(arrays: Sequence[Any]) -> list[int]:
    """The numbers of the contiguous arrays on GPUs that share memory with no other of those."""
    places = []
    for i, x in enumerate(arrays):
        if not x.device.is_cpu and x.is_contiguous and x.size:
            places.append((x.device.index, x.pointer, x.pointer + x.nbytes, i))
    places.sort()
    shared, last = set(), (-1, 0, 0, -1)  # of those so far, the one that ends last
    for found in places:
        device, start, stop, i = found
        if device == last[0] and start < last[2]:
            shared |= {i, last[3]}
        if (device, stop) > (last[0], last[2]):
            last = found
    return sorted(i for _, _, _, i in places if i not in shared)


def moved(x: Any, dtype: Any, device: Any) -> Array:
    """``x`` as an array of this dtype on this device; itself if it is one."""
    if isinstance(x, Array) and x.dtype == dtype and x.device == device:
        return x
    return array(x, dtype, device)


class _Holder:
    """Refers to an array as a tensor does."""

    def __init__(self) -> None:
        self.array = full((1,), 0, "float32", "cpu")


def _references(holder: Any) -> tuple[int, int]:
    """How often the array of a tensor, and its memory, are referred to."""
    x = holder.array
    memory = x.data if x.device.is_cpu else x.buffer
    cached = 0 if x.device.is_cpu or x._data is None else 1  # numba's view of a GPU array
    return sys.getrefcount(x), sys.getrefcount(memory) - cached


_ALONE = _references(_Holder())


def _is_free(p: Tensor) -> bool:
    """True if nothing but ``p`` refers to the memory of its array."""
    found = _references(p)
    whole = not p.device.is_cpu or p.array.data.base is None
    return whole and found[0] <= _ALONE[0] and found[1] <= _ALONE[1]
