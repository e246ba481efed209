"""Elementwise ops: arithmetic with broadcasting, exp/log/sqrt/pow, fill, copy, assign and cast.

Nearly every op is a :class:`~nnlite.kernels.elementwise.mapping.Map` of a scalar device function:

===================  =========================================================================
file                 what it holds
===================  =========================================================================
functions.py         the device functions: the mathematics of one item
mapping.py           maps: which of their kernels applies a function to which arrays
scalar.py            the kernels for contiguous arrays and for any strides, an item to a thread
wide.py              one for GPUs: four items to a thread by 128-bit access
wide_broadcast.py    the same where operands repeat
wide_columns.py      combining the items of each column, four columns to a thread
arithmetic.py        add, sub, mul, div, scale, neg, accumulate
unary.py             exp, log, sqrt, pow and gradients
convert.py           fill, copy, assign, cast
transposing.py       copies of transposed arrays, through tiles in shared memory
wide_transposing.py  the same by 128-bit access
specs.py             NumPy references, wrong inputs, tolerances
===================  =========================================================================

The gradients of add, sub, mul and div sum over broadcast axes: see the family ``arithmetic``.
"""

from .arithmetic import (
    accumulate,
    add,
    div,
    mul,
    neg,
    scale,
    sub,
)
from .convert import assign, cast, copy, fill
from .specs import SPECS, gpu_kernels
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
    "assign",
    "cast",
    "copy",
    "div",
    "exp",
    "exp_backward",
    "fill",
    "gpu_kernels",
    "log",
    "log_backward",
    "mul",
    "neg",
    "pow",
    "pow_backward",
    "scale",
    "sqrt",
    "sqrt_backward",
    "sub",
]
