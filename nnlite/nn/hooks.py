"""Hooks of modules: functions called before, after and on the way back through a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Gradients, Node, mode
from ..errors import AutogradError
from ..hooks import RemovableHandle
from ..tensor import Tensor, wrap


class _Hooks:
    """The hooks of one module: a function and whether it takes keyword arguments, by number."""

    def __init__(self) -> None:
        self.before: dict[int, tuple[Any, bool]] = {}
        self.after: dict[int, tuple[Any, bool]] = {}
        self.backward: dict[int, tuple[Any, bool]] = {}


class Hookable:
    """What makes a module callable, and where its hooks are registered."""

    _hooks: _Hooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; defined by every module."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._call_with(self._hooks, args, kwargs)

    @property
    def hooked(self) -> bool:
        """True if a hook is registered, so that the module must really be called."""
        hooks = self._hooks
        return hooks is not None and bool(hooks.before or hooks.after or hooks.backward)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each ``forward``.

        Args:
            hook: returns None, or other arguments: a tuple, or the only one. With ``with_kwargs``
                it is ``hook(module, args, kwargs)`` and returns None or ``(args, kwargs)``.
            prepend: call it before the hooks that are there already.
            with_kwargs: give it the keyword arguments, too.
        """
        return self._register("before", hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each ``forward``.

        Args:
            hook: returns None, or another output. With ``with_kwargs`` it is
                ``hook(module, args, kwargs, output)``.
            prepend, with_kwargs: as for :meth:`register_forward_pre_hook`.

        Examples:
            >>> handle = model[0].register_forward_hook(lambda m, args, out: print(out.shape))
            >>> handle.remove()
        """
        return self._register("after", hook, prepend, with_kwargs)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of a call are known.

        Args:
            hook: gets a tuple of the gradients of the positional arguments (None where there is
                none) and of the outputs; returns None, or a tuple in place of ``grad_input``.
            prepend: call it before the hooks that are there already.
        """
        return self._register("backward", hook, prepend, False)

    def _register(
        self, when: str, hook: Callable[..., Any], prepend: bool, with_kwargs: bool
    ) -> RemovableHandle:
        if not callable(hook):
            raise TypeError(
                f"{type(self).__name__}: hook: {type(hook).__name__} given, expected a function"
            )
        if self._hooks is None:
            object.__setattr__(self, "_hooks", _Hooks())
        table = getattr(self._hooks, when)
        handle = RemovableHandle(table)
        others = list(table.items()) if prepend else []
        if prepend:
            table.clear()
        table[handle.id] = (hook, with_kwargs)
        table.update(others)
        return handle

    def _call_with(self, hooks: _Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook, with_kwargs in tuple(hooks.before.values()):
            if with_kwargs:
                found = hook(self, args, kwargs)
                args, kwargs = (args, kwargs) if found is None else found
            else:
                found = hook(self, args)
                if found is not None:
                    args = found if isinstance(found, tuple) else (found,)
        watch = _Watch(self, hooks) if hooks.backward and mode.enabled else None
        if watch is not None:
            args = watch.arguments(args)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(hooks.after.values()):
            found = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            output = output if found is None else found
        return output if watch is None else watch.outputs(output)


class _Watch:
    """Two nodes that change nothing, around one call: they see its gradients pass."""

    def __init__(self, module: Any, hooks: _Hooks) -> None:
        self.module, self.hooks = module, hooks
        self.places: list[int] = []
        self.count = 0
        self.grad_output: tuple[Any, ...] | None = None

    def arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, those that require a gradient behind a node."""
        self.count = len(args)
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        return _behind("backward_hook", args, self.places, self._at_input)

    def outputs(self, output: Any) -> Any:
        """The output with a node behind each of its tensors that requires a gradient."""
        single = not isinstance(output, (tuple, list))
        items = (output,) if single else tuple(output)
        places = [i for i, t in enumerate(items) if isinstance(t, Tensor) and t.requires_grad]

        def at_output(node: Node, *grads: Any) -> Gradients:
            found: list[Any] = [None] * len(items)
            for i, dy in zip(places, grads):
                found[i] = None if dy is None else wrap(dy)
            self.grad_output = tuple(found)
            if not self.places:  # no argument will be reached
                self._call((None,) * self.count)
            return grads

        found = _behind("backward_hook", items, places, at_output)
        return found[0] if single else type(output)(found)

    def _at_input(self, node: Node, *grads: Any) -> Gradients:
        given: list[Any] = [None] * self.count
        for i, dx in zip(self.places, grads):
            given[i] = None if dx is None else wrap(dx)
        found = self._call(tuple(given))
        return tuple(None if found[i] is None else found[i].array for i in self.places)

    def _call(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _ in tuple(self.hooks.backward.values()):
            found = hook(self.module, grad_input, self.grad_output)
            if found is None:
                continue
            found = found if isinstance(found, tuple) else (found,)
            if len(found) != len(grad_input):
                raise AutogradError(
                    f"{type(self.module).__name__}: a backward hook returned {len(found)} "
                    f"gradients, expected {len(grad_input)}"
                )
            grad_input = found
        return grad_input


def _behind(name: str, items: tuple[Any, ...], places: list[int], backward: Any) -> tuple[Any, ...]:
    """The items; those at ``places`` as new tensors, the outputs of one node."""
    if not places:
        return items
    node = Node(
        name,
        backward,
        edges=tuple(items[i].edge() for i in places),
        fresh=False,
        outputs=len(places),
    )
    found = list(items)
    for k, i in enumerate(places):
        found[i] = items[i].detach()
        found[i].attach(node, k)
    return tuple(found)
