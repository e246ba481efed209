"""Tools to test kernels: one comparator, Hypothesis strategies and a check made from an ``OpSpec``.

``check_op(spec)`` gives an op of your own the checks that the ops of nnlite get::

    from nnlite.testing import check_op
    check_op(my_spec)      # forward, gradient, wrong inputs, unchanged inputs

The comparator needs NumPy only; everything else needs Hypothesis (extra ``test``).

For compilers of CUDA kernels there are ``interpreter.interpret``, which runs any Numba CUDA kernel
slowly and obviously on the CPU, and ``random_kernels``, which writes legal kernels to compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .compare import assert_close, assert_same_bits, difference, same_bits

if TYPE_CHECKING:
    from .check_op import check_forward, check_mutates, check_op, check_wrong
    from .gradients import check_gradient
    from .layouts import place
    from .strategies import Call, calls, float_arrays, shapes

__all__ = [
    "Call",
    "assert_close",
    "assert_same_bits",
    "calls",
    "check_forward",
    "check_gradient",
    "check_mutates",
    "check_op",
    "check_wrong",
    "difference",
    "float_arrays",
    "place",
    "same_bits",
    "shapes",
]

_HOMES = {
    "check_forward": "check_op",
    "check_mutates": "check_op",
    "check_op": "check_op",
    "check_wrong": "check_op",
    "check_gradient": "gradients",
    "Call": "strategies",
    "calls": "strategies",
    "float_arrays": "strategies",
    "place": "layouts",
    "shapes": "strategies",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module, util

    if util.find_spec("hypothesis") is None:
        raise ImportError(
            f"nnlite.testing.{name} needs Hypothesis, which is not installed; "
            "install it with: pip install 'nnlite-cuda[test]'"
        )
    # Importing the submodule check_op binds its module object to this name: bind the
    # functions over it, so that `nnlite.testing.check_op` is the function ever after.
    modules = {other: import_module(f".{_HOMES[other]}", __name__) for other in _HOMES}
    globals().update({other: getattr(module, other) for other, module in modules.items()})
    return globals()[name]
