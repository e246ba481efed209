"""Elementwise ops: arithmetic with broadcasting, exp/log/sqrt/pow, fill, copy and cast.

Every op here is a :class:`~nnlite.kernels.elementwise.mapping.Map` of a scalar device function:

==============  =========================================================================
file            what it holds
==============  =========================================================================
functions.py    the device functions: the mathematics of one item
mapping.py      the two kernels (contiguous, strided) that apply a function to arrays
arithmetic.py   add, sub, mul, div, scale, neg, accumulate and gradients
unary.py        exp, log, sqrt, pow and gradients
convert.py      fill, copy, cast
specs.py        NumPy references, wrong inputs, tolerances
==============  =========================================================================
"""

from .arithmetic import (
    accumulate,
    add,
    add_backward,
    div,
    div_backward,
    mul,
    mul_backward,
    neg,
    scale,
    sub,
    sub_backward,
)
from .convert import cast, copy, fill
from .specs import SPECS
from .unary import (
    exp,
    exp_backward,
    log,
    log_backward,
    pow,
    pow_backward,
    sqrt,
    sqrt_backward,
)

__all__ = [
    "SPECS",
    "accumulate",
    "add",
    "add_backward",
    "cast",
    "copy",
    "div",
    "div_backward",
    "exp",
    "exp_backward",
    "fill",
    "log",
    "log_backward",
    "mul",
    "mul_backward",
    "neg",
    "pow",
    "pow_backward",
    "scale",
    "sqrt",
    "sqrt_backward",
    "sub",
    "sub_backward",
]
