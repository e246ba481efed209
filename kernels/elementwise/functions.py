"""Device functions of the elementwise ops: one item in, one item out.

They serve float32 and float64: a ``float32(...)`` constant is exact here and widens with the
item, while a Python literal would turn float32 arithmetic into float64.
"""

from __future__ import annotations

import math

from numba import cuda, float32


@cuda.jit(device=True)
def add_items(x, y):
    return x + y


@cuda.jit(device=True)
def sub_items(x, y):
    return x - y


@cuda.jit(device=True)
def mul_items(x, y):
    return x * y


@cuda.jit(device=True)
def div_items(x, y):
    return x / y


@cuda.jit(device=True)
def identity(x):
    return x


@cuda.jit(device=True)
def constant(x, value):
    return value


@cuda.jit(device=True)
def neg_item(x):
    return -x


@cuda.jit(device=True)
def exp_item(x):
    return math.exp(x)


@cuda.jit(device=True)
def log_item(x):
    return math.log(x)


@cuda.jit(device=True)
def sqrt_item(x):
    return math.sqrt(x)


@cuda.jit(device=True)
def sqrt_backward_item(dy, x):
    return float32(0.5) * dy / math.sqrt(x)


@cuda.jit(device=True)
def square(x):
    return x * x


@cuda.jit(device=True)
def power(x, exponent):
    return math.pow(x, exponent)


@cuda.jit(device=True)
def power_backward(dy, x, exponent):
    return dy * (exponent * math.pow(x, exponent - float32(1.0)))
