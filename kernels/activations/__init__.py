"""Activations with gradients: ReLU, sigmoid, tanh, GELU, SiLU, ELU, softplus, Mish and their kin.

====================  ===================================================================
file                  what it holds
====================  ===================================================================
functions.py          the device functions: value and slope of one item, and their stable forms
launchers.py          ``relu(x)``, ``relu_backward(dy, x)``, …: checks, allocation, launch
reference.py          NumPy references
specs.py              wrong inputs, tolerances and their reasons
units_functions.py    the same four for the units that a table of maps is enough for:
units.py              ELU, SELU, CELU, softplus, log-sigmoid, Mish, softsign, tanhshrink,
units_reference.py    hardtanh, hardsigmoid, hardswish, softshrink, hardshrink, threshold
units_specs.py
glu.py                GLU, whole: it reads two items for each that it writes
====================  ===================================================================

The kernels are those of :mod:`nnlite.kernels.elementwise.mapping`; ``functions.value_function``
gives the same functions to the epilogue of the matrix multiply.
"""

from ..elementwise.specs import wide_maps
from ..opspec import GpuKernel
from . import glu as _glu
from . import specs, units_specs
from .glu import glu, glu_backward
from .launchers import (
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    relu_backward_from_output,
    sigmoid,
    sigmoid_backward,
    sigmoid_backward_from_output,
    silu,
    silu_backward,
    tanh,
    tanh_backward,
    tanh_backward_from_output,
)
from .units import (
    celu,
    celu_backward,
    elu,
    elu_backward,
    hardshrink,
    hardshrink_backward,
    hardsigmoid,
    hardsigmoid_backward,
    hardswish,
    hardswish_backward,
    hardtanh,
    hardtanh_backward,
    logsigmoid,
    logsigmoid_backward,
    mish,
    mish_backward,
    selu,
    selu_backward,
    softplus,
    softplus_backward,
    softshrink,
    softshrink_backward,
    softsign,
    softsign_backward,
    tanhshrink,
    tanhshrink_backward,
    threshold,
    threshold_backward,
)

SPECS = (*specs.SPECS, *units_specs.SPECS, *_glu.SPECS)


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels by 128-bit access."""
    return (*wide_maps(SPECS), *_glu.gpu_kernels())


__all__ = [
    "SPECS",
    "celu",
    "celu_backward",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "glu",
    "glu_backward",
    "gpu_kernels",
    "hardshrink",
    "hardshrink_backward",
    "hardsigmoid",
    "hardsigmoid_backward",
    "hardswish",
    "hardswish_backward",
    "hardtanh",
    "hardtanh_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "logsigmoid",
    "logsigmoid_backward",
    "mish",
    "mish_backward",
    "relu",
    "relu_backward",
    "relu_backward_from_output",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_backward_from_output",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "softshrink",
    "softshrink_backward",
    "softsign",
    "softsign_backward",
    "tanh",
    "tanh_backward",
    "tanh_backward_from_output",
    "tanhshrink",
    "tanhshrink_backward",
    "threshold",
    "threshold_backward",
]
