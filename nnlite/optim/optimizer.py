"""``Optimizer``: parameter groups, state and its dictionary; what SGD and Adam share."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..autograd import enable_grad
from ..errors import ArgumentError, AutogradError, ShapeError
from ..kernels.checks import require_like, require_shape
from ..kernels.engine import Array, array, zeros
from ..tensor import Tensor

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """Base class: holds parameters in groups that share options, and state per parameter.

    Args:
        params: the parameters, or dicts with the key ``"params"`` and options of their own.
        defaults: options of the groups that do not give them.

    Attributes:
        param_groups: dicts with ``"params"`` and the options; options may be changed.
        state: for each parameter, by its number, arrays and a step count.
        slots: names of the arrays.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[int, dict[str, Any]] = {}
        self._ids: set[int] = set()
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: params: one Tensor given, expected a list of them")
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
        number = 0
        updates = []
        for group in self.param_groups:
            if len(self.param_groups) > 1:  # a wrong option of the only group changes nothing yet
                self._check_options(group)
            update = self._updater(group)
            for p in group["params"]:
                if p.grad is not None:
                    a, grad = p.array, p.grad.array
                    same = grad.dtype is a.dtype and grad.device is a.device
                    if not same or grad.shape != a.shape:
                        self._require_like(number, a, grad)
                    updates.append((update, number, p, grad))
                number += 1
        for update, number, p, grad in updates:
            update(number, p, grad)
            p.version.changes += 1
        return loss

    def _require_like(self, number: int, a: Array, grad: Array) -> None:
        op, name = f"{self._name}.step", f"gradient of parameter {number}"
        require_like(op, name, grad, "the parameter", a)
        require_shape(op, name, grad, a.shape)

    def _updater(self, group: dict[str, Any]) -> Callable[[int, Tensor, Array], None]:
        """``update(number, parameter, gradient)`` with the options of ``group``."""
        raise NotImplementedError

    def _state_of(self, number: int, p: Tensor) -> dict[str, Any]:
        """State of a parameter: zeros at first, with its device and dtype ever after."""
        state = self.state.get(number)
        if state is None:
            arrays = {name: zeros(p.shape, p.dtype, p.device) for name in self.slots}
            state = self.state[number] = {**arrays, "step": 0}
            return state
        first = state[self.slots[0]]
        if first.device is not p.device or first.dtype != p.dtype:
            for name in self.slots:
                state[name] = array(state[name], p.dtype, p.device)
        return state

    def state_dict(self) -> dict[str, Any]:
        """Options and state as one flat dict of numbers and, for the arrays, NumPy arrays.

        Keys are ``group.<group>.<option>`` (``group.0.betas.1`` for the items of a tuple) and
        ``state.<parameter>.<name>``; parameters are numbered through all groups.
        """
        flat = self._options()
        for number, state in self.state.items():
            for name, value in state.items():
                flat[f"state.{number}.{name}"] = (
                    value.numpy() if isinstance(value, Array) else value
                )
        return flat

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; nothing changes if it does not fit.

        Raises:
            ArgumentError: an option or a parameter is missing or unknown.
            ShapeError: an array does not have the shape of its parameter.
        """
        params = [p for group in self.param_groups for p in group["params"]]
        groups = [dict(group) for group in self.param_groups]
        expected = set(self._options())
        given = {key for key in state_dict if key.startswith("group.")}
        if expected != given:
            raise ArgumentError(
                f"{self._name}.load_state_dict: missing options: "
                f"{', '.join(sorted(expected - given)) or 'none'}; unexpected: "
                f"{', '.join(sorted(given - expected)) or 'none'}"
            )
        for key in given:
            _, g, name, *item = key.split(".")
            if item:
                values = list(groups[int(g)][name])
                values[int(item[0])] = state_dict[key]
                groups[int(g)][name] = tuple(values)
            else:
                groups[int(g)][name] = state_dict[key]
        for group in groups:
            self._check_options(group)
        state: dict[int, dict[str, Any]] = {}
        for key in state_dict:
            if key not in given:
                number, name = self._state_key(key, len(params))
                value = self._state_value(key, state_dict[key], params[number])
                state.setdefault(number, {})[name] = value
        for number, found in state.items():
            if set(found) != {*self.slots, "step"}:
                raise ArgumentError(
                    f"{self._name}.load_state_dict: state.{number} with {sorted(found)} given, "
                    f"expected {sorted([*self.slots, 'step'])}"
                )
        for group, new in zip(self.param_groups, groups):
            group.update(new)
        self.state = state

    def _options(self) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for g, group in enumerate(self.param_groups):
            for name, value in group.items():
                if isinstance(value, tuple):
                    flat.update({f"group.{g}.{name}.{i}": v for i, v in enumerate(value)})
                elif name != "params":
                    flat[f"group.{g}.{name}"] = value
        return flat

    def _state_key(self, key: str, count: int) -> tuple[int, str]:
        prefix, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if prefix != "state" or not number.isdigit() or not name or int(number) >= count:
            raise ArgumentError(
                f"{self._name}.load_state_dict: key {key!r} given, expected "
                f"'state.<parameter below {count}>.<name>' or 'group.<group>.<option>'"
            )
        return int(number), name

    def _state_value(self, key: str, value: Any, p: Tensor) -> Any:
        what = f"{self._name}.load_state_dict: {key}"
        if key.endswith(".step"):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ArgumentError(f"{what}: {value!r} given, expected an integer >= 0")
            return int(value)
        if not isinstance(value, (np.ndarray, Array)):
            raise ArgumentError(f"{what}: {type(value).__name__} given, expected an array")
        if value.shape != p.shape:
            raise ShapeError(f"{what}: shape {value.shape} given, expected {p.shape}")
        return array(value, p.dtype, p.device)
