"""Clipping of gradients by their norm and by their values, for many parameters at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import ArgumentError
from ..kernels.checks import FLOAT32
from ..kernels.engine import Array, empty
from ..kernels.update import Listed, clip, clip_scale, combine_norms, partial_norm
from ..tensor import Tensor, tensor, wrap
from .buckets import LARGE, Slab, apart


class _Gradients:
    """The gradients of some parameters: those that few launches find where they lie, and others.

    Attributes:
        listed: those on a GPU that are contiguous, float32, and share no memory.
        arrays: of the others the large ones, and a slab into which the small ones are copied.
        first: one of all, None if there is none.
    """

    def __init__(self, op: str, parameters: Iterable[Tensor] | Tensor) -> None:
        given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        self._tensors = [p.grad for p in given if p.grad is not None]
        kinds = {(g.dtype, g.device) for g in self._tensors}
        if len(kinds) > 1:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise ArgumentError(f"{op}: gradients of {found} given, expected one dtype and device")
        arrays = [g.array for g in self._tensors]
        numbers = apart(arrays) if arrays and arrays[0].dtype == FLOAT32 else []
        self.first = arrays[0] if arrays else None
        self.listed = Listed([arrays[i] for i in numbers])
        taken = set(numbers)
        arrays = [a for i, a in enumerate(arrays) if i not in taken]
        self._small = [a for a in arrays if a.size < LARGE or not a.is_contiguous]
        self.arrays = [a for a in arrays if not (a.size < LARGE or not a.is_contiguous)]
        if self._small:
            first = self._small[0]
            self._slab = Slab([a.shape for a in self._small], first.dtype, first.device)
            for view, a in zip(self._slab.views, self._small):
                view.copy_from(a)
            self.arrays.append(self._slab.memory)

    def change(self, function: Callable[[Array], Any]) -> None:
        """Let ``function`` change the items of ``arrays``, and gradients with them."""
        for a in self.arrays:
            function(a)
        if self._small:
            for view, a in zip(self._slab.views, self._small):
                a.copy_from(view)
        for t in self._tensors:
            t.mark_changed()


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Scale all gradients together, in place, so that their norm is at most ``max_norm``.

    .. math::
        g \leftarrow g \min\left(1, \frac{m}{\lVert g \rVert_p + 10^{-6}}\right)

    with :math:`g` the items of all gradients as one vector. The norm is the same in every run, bit
    for bit. Source: R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013.

    Args:
        parameters: a parameter or several; those without a gradient are left out.
        max_norm: :math:`m`, at least 0.
        norm_type: :math:`p`: 1, 2 or inf.
        error_if_nonfinite: refuse a norm that is NaN or infinite; else it ends up in the gradients.

    Returns:
        The norm before clipping, a tensor of shape (); 0 without any gradient.

    Raises:
        ArgumentError: gradients of several dtypes or devices, another norm, ``max_norm`` negative,
            or the norm is not finite and ``error_if_nonfinite``. Nothing is changed then.

    Examples:
        >>> loss.backward()
        >>> nl.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        >>> optimizer.step()
    """
    op = "clip_grad_norm_"
    if not max_norm >= 0:
        raise ArgumentError(f"{op}: max_norm: {max_norm!r} given, expected a number of at least 0")
    gradients = _Gradients(op, parameters)
    if gradients.first is None:
        return tensor(0.0)
    first, listed = gradients.first, gradients.listed
    ends = [listed.blocks]
    for a in gradients.arrays:
        ends.append(ends[-1] - (-a.size // clip.CHUNK))
    partial = empty((ends[-1],), first.dtype, first.device)
    listed.partial_norm(norm_type, partial)
    for a, start, end in zip(gradients.arrays, ends, ends[1:]):
        partial_norm(a, norm_type, out=partial[start:end])
    norm = combine_norms(partial, norm_type)
    if error_if_nonfinite and not abs(norm.item()) < float("inf"):
        raise ArgumentError(
            f"{op}: the norm of the gradients is {norm.item()}; pass error_if_nonfinite=False to "
            "scale them all the same"
        )
    # On a CPU the norm is at hand; on a GPU asking for it would wait for all that is queued.
    if not (first.device.is_cpu and norm.item() + clip.TINY <= max_norm):
        listed.scale(norm, max_norm)
        gradients.change(lambda a: clip_scale(a, norm, max_norm))
    return wrap(norm)


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    r"""Limit every item of the gradients to :math:`[-c, c]`, in place.

    Args:
        parameters: a parameter or several; those without a gradient are left out.
        clip_value: :math:`c`, at least 0.

    Raises:
        ArgumentError: gradients of several dtypes or devices, or ``clip_value`` negative. Nothing
            is changed then.
    """
    op = "clip_grad_value_"
    if not clip_value >= 0:
        raise ArgumentError(
            f"{op}: clip_value: {clip_value!r} given, expected a number of at least 0"
        )
    gradients = _Gradients(op, parameters)
    gradients.listed.limit(clip_value)
    gradients.change(lambda a: clip.clip_value(a, clip_value))
