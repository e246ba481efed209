"""Activations with gradients: ReLU, LeakyReLU, sigmoid, tanh, GELU, SiLU.

==============  =========================================================================
file            what it holds
==============  =========================================================================
functions.py    the device functions: value and slope of one item, and their stable forms
launchers.py    ``relu(x)``, ``relu_backward(dy, x)``, …: checks, allocation, launch
reference.py    NumPy references
specs.py        wrong inputs, tolerances and their reasons
==============  =========================================================================

The kernels are those of :mod:`nnlite.kernels.elementwise.mapping`; ``functions.value_function``
gives the same functions to the epilogue of the matrix multiply.
"""

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
from .specs import SPECS

__all__ = [
    "SPECS",
    "gelu",
    "gelu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "relu_backward_from_output",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_backward_from_output",
    "silu",
    "silu_backward",
    "tanh",
    "tanh_backward",
    "tanh_backward_from_output",
]
