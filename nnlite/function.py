"""``Function``: a differentiable operation of your own, with the interface of PyTorch's."""

from __future__ import annotations

from typing import Any

from .autograd import Gradients, Node, mode, no_grad
from .errors import ArgumentError, AutogradError, DtypeError, ShapeError
from .kernels.engine import Array, zeros
from .tensor import Tensor


class Context:
    """What ``Function.forward`` hands to ``Function.backward``; takes any attribute.

    Attributes:
        needs_input_grad: for each argument of ``apply``, True if its gradient is wanted.
        saved_tensors: in ``backward``, the tensors given to :meth:`save_for_backward`.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``backward``; they are freed after it and guarded against changes."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise AutogradError(
                    f"save_for_backward: argument {i}: {type(t).__name__} given, expected a tensor "
                    "or None; keep anything else as an attribute of ctx"
                )
        self.saved_tensors = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declare that ``forward`` wrote into these tensors."""
        for t in tensors:
            t.mark_changed()


class Function:
    """A differentiable operation of your own: subclass it, call it through :meth:`apply`.

    ``forward(ctx, *args)`` computes a tensor, or a tuple of tensors, and is not recorded.
    ``backward(ctx, *grads)`` gets the gradient of every output (zeros for an output that was not
    used) and returns, for every argument of ``forward``, a gradient of its shape or None. Both
    are static methods; both may return engine arrays in place of tensors.

    The gradients given to ``backward`` may be shared with other operations and may repeat items by
    strides of 0: never write to them, and call ``dy.contiguous()`` for a kernel that needs it.

    Examples:
        >>> class Square(nl.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...
        ...     @staticmethod
        ...     def backward(ctx, dy):
        ...         (x,) = ctx.saved_tensors
        ...         return 2.0 * x * dy
        >>> y = Square.apply(x)
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        raise NotImplementedError("a Function defines forward(ctx, *args) as a static method")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError("a Function defines backward(ctx, *grads) as a static method")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run ``forward`` and record it.

        Args:
            args: what ``forward`` takes after ``ctx``; only tensors, not keywords, get gradients.

        Raises:
            AutogradError: ``forward`` returned something other than tensors. Later, from the
                backward pass: ``backward`` returned something other than tensors or None.
            ArgumentError, ShapeError, DtypeError: from the backward pass, ``backward`` returned
                another number of gradients, or one of another shape or dtype than its input.
        """
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx = Context(needs)
        with no_grad():
            returned = cls.forward(ctx, *args)
        single = not isinstance(returned, tuple)
        # New tensors around the same memory: an output may be an argument or a saved tensor.
        outputs = [_output(cls, o) for o in ((returned,) if single else returned)]
        if mode.enabled and any(needs):
            saved = ctx.saved_tensors
            node = Node(
                cls.__name__,
                _backward,
                edges=tuple(a.edge() if n else None for a, n in zip(args, needs)),
                saved=saved,
                guards=tuple((t.version, t.version.changes) for t in saved if t is not None),
                constants=(
                    cls,
                    ctx,
                    [(a.shape, a.dtype) if n else None for a, n in zip(args, needs)],
                    [(o.shape, o.dtype, o.device) for o in outputs],
                ),
                fresh=False,
                outputs=len(outputs),
            )
            for i, out in enumerate(outputs):
                if out.dtype.kind == "f":
                    out.attach(node, i)
        ctx.saved_tensors = ()
        return outputs[0] if single else tuple(outputs)


def _output(cls: type[Function], value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, Array):
        return Tensor(value)
    raise AutogradError(
        f"{cls.__name__}.forward: returned {type(value).__name__}, expected a tensor"
    )


def _backward(node: Node, *grads: Any) -> Gradients:
    """Call the user's ``backward`` and check what it returns before the tape uses it."""
    cls, ctx, inputs, outputs = node.constants
    given = [Tensor(zeros(*o) if dy is None else dy) for dy, o in zip(grads, outputs)]
    ctx.saved_tensors = node.saved
    try:
        with no_grad():
            returned = cls.backward(ctx, *given)
    finally:
        ctx.saved_tensors = ()
    found = returned if isinstance(returned, tuple) else (returned,)
    where = f"{cls.__name__}.backward"
    if len(found) != len(inputs):
        raise ArgumentError(f"{where}: returned {len(found)} gradients, expected {len(inputs)}")
    return tuple(
        None if grad is None or meta is None else _checked(f"{where}: gradient {i}", grad, *meta)
        for i, (grad, meta) in enumerate(zip(found, inputs))
    )


def _checked(what: str, grad: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    if not isinstance(grad, (Tensor, Array)):
        raise AutogradError(f"{what}: {type(grad).__name__} given, expected a tensor or None")
    if grad.shape != shape:
        raise ShapeError(f"{what}: shape {grad.shape} given, expected {shape}")
    if grad.dtype != dtype:
        raise DtypeError(f"{what}: dtype {grad.dtype} given, expected {dtype}")
    return grad.array if isinstance(grad, Tensor) else grad
