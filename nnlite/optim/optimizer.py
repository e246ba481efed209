"""``Optimizer``: parameter groups, state and its dictionary; what all optimizers share."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..autograd import enable_grad
from ..errors import ArgumentError, AutogradError, ShapeError
from ..kernels.checks import require_like, require_shape
from ..kernels.engine import Array, full
from ..kernels.engine.replay import here, repeated
from ..kernels.update import Batch
from ..tensor import Tensor
from .buckets import Bucket, Buckets, moved
from .state import Stateful

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer(Stateful):
    """Base class: holds parameters in groups that share options, and state per parameter.

    Args:
        params: the parameters, or dicts with the key ``"params"`` and options of their own.
        defaults: options of the groups that do not give them.

    Attributes:
        param_groups: dicts with ``"params"`` and the options; options may be changed.
        state: for each parameter, by its number, arrays and a step count.
        slots: names of the arrays.

    A subclass defines ``slots`` and :meth:`_update`, and perhaps :meth:`_update_many`. Its kernels
    take any number of items: parameters of a group are updated together, see
    :mod:`nnlite.optim.buckets`.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[int, dict[str, Any]] = {}
        self._ids: set[int] = set()
        self._buckets: dict[int, Buckets] = {}
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: params: one Tensor given, expected a list of them")
        if hasattr(params, "parameters"):
            raise TypeError(
                f"{self._name}: params: {type(params).__name__} given, expected its parameters()"
            )
        given: list[Any] = list(params)
        if not given:
            raise ArgumentError(f"{self._name}: params: none given, expected at least one")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Train more parameters, with options of their own: ``{"params": ..., "lr": ...}``.

        Raises:
            TypeError, AutogradError, ShapeError: a parameter is no tensor, no leaf, not contiguous.
            ArgumentError: one is given twice, or an option is unknown or out of range. Nothing is
                added then.
        """
        unknown = set(group) - set(self.defaults) - {"params"}
        if unknown or "params" not in group:
            known = ", ".join(["params", *self.defaults])
            raise ArgumentError(
                f"{self._name}: group with {', '.join(sorted(group))} given, expected {known}"
            )
        params = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
        params = list(params)
        ids = set(self._ids)
        for i, p in enumerate(params):
            where = f"{self._name}: params: item {i}"
            if not isinstance(p, Tensor):
                raise TypeError(f"{where}: {type(p).__name__} given, expected a Tensor")
            if not p.is_leaf:
                raise AutogradError(f"{where}: the result of an operation, expected a leaf tensor")
            if not p.array.is_contiguous:
                raise ShapeError(
                    f"{where}: strides {p.array.strides} of shape {p.shape} given, expected a "
                    "contiguous tensor, as it is updated in place"
                )
            if id(p) in ids:
                raise ArgumentError(f"{where}: given twice")
            ids.add(id(p))
        full = {**self.defaults, **group, "params": params}
        self._check_options(full)
        self._ids = ids
        self.param_groups.append(full)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        """Raise ArgumentError if an option is out of range."""

    def _require(self, ok: bool, name: str, value: Any, expected: str) -> None:
        if not ok:
            raise ArgumentError(f"{self._name}: {name}: {value!r} given, expected {expected}")

    def _require_positive(self, options: Mapping[str, Any], *names: str) -> None:
        for name in names:
            value = options[name]
            ok = isinstance(value, numbers.Real) and value >= 0  # type: ignore[operator]
            self._require(ok, name, value, "a number of at least 0")

    def _require_betas(self, options: Mapping[str, Any]) -> None:
        betas = options["betas"]
        valid = len(betas) == 2 and all(isinstance(b, (float, int)) and 0 <= b < 1 for b in betas)
        self._require(valid, "betas", betas, "two numbers in [0, 1)")

    @property
    def lr(self) -> float:
        """Learning rate of the first group; setting it sets that of every group."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss and its gradients again; what it returns is returned.

        Raises:
            ShapeError, DtypeError, DeviceError: a gradient is not like its parameter.
            ArgumentError: an option is out of range. In either case nothing is updated.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        work = []
        number = 0
        for index, group in enumerate(self.param_groups):
            if len(self.param_groups) > 1:  # a wrong option of the only group changes nothing yet
                self._check_options(group)
            for bucket in self._buckets_of(index, number, group["params"]):
                ready = []
                for i, p in enumerate(bucket.params):
                    if p.grad is not None:
                        a, grad = p.array, p.grad.array
                        same = grad.dtype is a.dtype and grad.device is a.device
                        if not same or grad.shape != a.shape:
                            self._require_like(bucket.numbers[i], a, grad)
                        ready.append(i)
                if ready:
                    work.append((group, bucket, ready))
            number += len(group["params"])
        for group, bucket, ready in work:
            self._update_bucket(group, bucket, ready)
        return loss

    def _require_like(self, number: int, a: Array, grad: Array) -> None:
        op, name = f"{self._name}.step", f"gradient of parameter {number}"
        require_like(op, name, grad, "the parameter", a)
        require_shape(op, name, grad, a.shape)

    def _buckets_of(self, index: int, first: int, params: list[Tensor]) -> list[Bucket]:
        """The buckets of group ``index``, whose first parameter has the number ``first``."""
        found = self._buckets.get(index)
        if found is None or not found.fit(first, params):
            found = self._buckets[index] = Buckets(first, params, self._takes_many())
        return found.buckets

    def _takes_many(self) -> bool:
        """Whether there is an ``_update_many`` that does what ``_update`` does."""
        for cls in type(self).__mro__:  # one who overrides the latter alone means that one
            if "_update" in vars(cls):
                return cls is not Optimizer and "_update_many" in vars(cls)
        return False

    def _update_bucket(self, group: dict[str, Any], bucket: Bucket, ready: list[int]) -> None:
        """Update the parameters ``ready``: neighbours with one count of steps in one launch."""
        names = self._slots_of(group)
        steps = [self._state_of(group, bucket, i, names) for i in ready]
        runs: list[Any] = []
        if bucket.listed:
            by_steps: dict[int, list[int]] = {}
            for i, count in zip(ready, steps):
                by_steps.setdefault(count, []).append(i)
            runs = [(some[0], bucket.batch(some, names)) for some in by_steps.values()]
        else:
            runs = self._runs(bucket, ready, steps, names)

        if here.recorder is None:
            self._update_runs(group, bucket, ready, runs)
            return

        def options() -> Any:
            fixed = [value for name, value in group.items() if name not in ("lr", "params")]
            arrays = [p.array for p in bucket.params]
            counts = [self.state.get(bucket.numbers[i], {}).get("step", 0) for i in ready]
            apart = [count - counts[0] for count in counts]  # those of a run are to stay the same
            return [self.state, self.param_groups, fixed, arrays, apart]

        # A graph's replays have steps and rates of their own.
        repeated(lambda: self._update_runs(group, bucket, ready, runs), options)

    def _runs(
        self, bucket: Bucket, ready: list[int], steps: list[int], names: tuple[str, ...]
    ) -> list[Any]:
        """Neighbours with one count of steps: number of the first, items, gradients, state."""
        bucket.fetch(ready)
        runs = []
        start = 0
        for k in range(1, len(ready) + 1):
            joined = k < len(ready) and ready[k] == ready[k - 1] + 1 and steps[k] == steps[start]
            if not joined:
                first, last = ready[start], ready[k - 1]
                state = {name: bucket.part_of_state(name, first, last) for name in names}
                runs.append((ready[start], *bucket.part(first, last), state))
                start = k
        return runs

    def _update_runs(
        self, group: dict[str, Any], bucket: Bucket, ready: list[int], runs: list[Any]
    ) -> None:
        """Update runs of parameters, and count the step for each parameter."""
        numbers, stateful = bucket.numbers, bool(self._slots_of(group))
        for i, *arrays in runs:
            step = self.state[numbers[i]]["step"] if stateful else 0
            update = self._update_many if bucket.listed else self._update
            update(group, step + 1, *arrays)
        for i in ready:
            bucket.params[i].version.changes += 1
            if stateful:
                self.state[numbers[i]]["step"] += 1

    def _slots_of(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the arrays that the options of ``group`` need; without one, no step counts."""
        return self.slots

    def _first_value(self, name: str, group: dict[str, Any]) -> float:
        """With what the array ``name`` of the state begins."""
        return 0.0

    def _update(
        self,
        group: dict[str, Any],
        step: int,
        param: Array,
        grad: Array,
        state: dict[str, Array],
    ) -> None:
        """Run step number ``step`` (from 1) on ``param`` in place, with the options of ``group``.

        ``param``, ``grad`` and the arrays of ``state`` have one shape: that of a parameter, or one
        axis with several parameters beside each other.
        """
        raise NotImplementedError

    def _update_many(self, group: dict[str, Any], step: int, batch: Batch) -> None:
        """The same for parameters, gradients and the arrays of ``_slots_of`` where they lie.

        A class that defines it beside its ``_update`` has it called for float32 on a GPU.
        """
        raise NotImplementedError

    def _state_of(
        self, group: dict[str, Any], bucket: Bucket, i: int, names: tuple[str, ...]
    ) -> int:
        """Steps that a parameter has had; its state is in the slabs of its bucket ever after."""
        if not names:
            return 0
        state = self.state.get(bucket.numbers[i])
        if state is None:
            state = self.state[bucket.numbers[i]] = {"step": 0}
        for name in names:
            view = bucket.slab(name).views[i]
            held = state.get(name)
            if held is not view:
                if held is None:  # full, as the slab may hold what a replaced state left
                    held = full(view.shape, self._first_value(name, group), view.dtype, view.device)
                view.copy_from(moved(held, view.dtype, view.device))
                state[name] = view
        return state["step"]
