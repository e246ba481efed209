"""What the CPU compiler cannot translate is refused with the file and line of the construct."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numba import cuda, float32

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.errors import NnliteError, UnsupportedKernelError

CONFIG = {"tile": 16}


@cuda.jit
def run_time_shape(x, n):
    s = cuda.shared.array(n, float32)  # HERE
    s[0] = x[0]


@cuda.jit
def comprehension(x):
    x[0] = len([v for v in range(3)])  # noqa: C416  # HERE


@cuda.jit
def catches(x):
    try:  # HERE
        x[0] = 1
    except Exception:
        x[0] = 2


@cuda.jit
def context_manager(x):
    with x:  # HERE
        x[0] = 1


@cuda.jit
def raises(x):
    if x[0] > 0:
        raise CONFIG  # HERE


@cuda.jit
def unknown_name(x):
    x[0] = not_defined_anywhere  # noqa: F821  # HERE


@cuda.jit
def global_dict(x):
    x[0] = CONFIG["tile"]  # HERE


@cuda.jit
def array_expression(x):
    y = x[1:] + x[:-1]  # HERE
    x[0] = y[0]


@cuda.jit
def nameless_lambda(x):
    x[0] = (lambda v: v + 1)(x[0])  # HERE


@cuda.jit
def copies_array(x):
    x[1:3] = x[:2]  # HERE


@cuda.jit
def unpacks_rest(x):
    first, *rest = (1, 2, 3)  # HERE
    x[0] = first + rest[0]


@cuda.jit
def identity(x):
    n = x[0]
    x[1] = n is x  # HERE


@cuda.jit
def deletes(x):
    n = x[0]
    del n  # HERE


@cuda.jit
def method(x):
    x[0] = x.cumsum()[0]  # HERE


@cuda.jit
def numpy_function(x):
    y = np.zeros(3)  # HERE
    x[0] = y[0]


@cuda.jit
def prints(x):
    print(x)  # HERE


@cuda.jit(device=True)
def endless(x):
    return endless(x) + 1  # HERE


@cuda.jit
def recursion(x):
    x[0] = endless(x[0])


@cuda.jit
def returns_value(x):
    return x[0]  # HERE


@cuda.jit
def wrong_types(x):
    y = x[0]
    y.real_part = 1  # HERE


@cuda.jit
def untypable(x):
    x[0] = x + 1  # HERE


def plain(v):
    return v + 1


@cuda.jit
def plain_function(x):
    x[0] = plain(x[0])  # HERE


KERNELS = [
    run_time_shape, comprehension, catches, context_manager, raises, unknown_name, global_dict,
    array_expression, nameless_lambda, copies_array, unpacks_rest, deletes, identity, method,
    numpy_function, prints, recursion, returns_value, wrong_types, untypable, plain_function,
]  # fmt: skip
ELSEWHERE = {"recursion": endless}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.py_func.__name__)
def test_refused_with_file_and_line(kernel):
    name = kernel.py_func.__name__
    lines, first = inspect.getsourcelines(ELSEWHERE.get(name, kernel).py_func)
    line = next(first + i for i, text in enumerate(lines) if "# HERE" in text)
    args = (np.zeros(32), np.int64(4)) if name == "run_time_shape" else (np.zeros(32),)
    with pytest.raises(UnsupportedKernelError) as caught:
        CpuKernel(kernel).launch((1, 1, 1), (32, 1, 1), 0, args)
    assert (caught.value.file, caught.value.line) == (__file__, line), str(caught.value)
    assert caught.value.construct
    assert isinstance(caught.value, NnliteError)


def test_message_says_what_and_why():
    with pytest.raises(UnsupportedKernelError, match="plain: a plain Python function"):
        CpuKernel(plain_function).launch((1, 1, 1), (32, 1, 1), 0, (np.zeros(32),))


@cuda.jit
def misspelt(x):
    x[0] = cuda.gird(1)


def test_names_that_a_module_does_not_have():
    with pytest.raises(UnsupportedKernelError, match=r"cuda\.gird: numba\.cuda has no 'gird'"):
        CpuKernel(misspelt).source((1, 1, 1), (np.zeros(1),))


def test_two_lambdas_on_a_line_and_missing_source():
    _, second = lambda x: None, lambda x: x  # fmt: skip
    with pytest.raises(UnsupportedKernelError, match="which lambda of its line"):
        CpuKernel(second).launch((1, 1, 1), (1, 1, 1), 0, (np.zeros(1),))
    scope: dict = {}
    exec("def made(x):\n    x[0] = 1\n", scope)
    with pytest.raises(UnsupportedKernelError, match="source text is not available"):
        CpuKernel(scope["made"]).launch((1, 1, 1), (1, 1, 1), 0, (np.zeros(1),))


def test_not_a_function():
    with pytest.raises(TypeError, match="expected a Python function"):
        CpuKernel(42)


TILE = 8


@cuda.jit
def computed_shape(x):
    s = cuda.shared.array((TILE, TILE + 1), float32)
    s[0, 0] = x[0]


def test_shapes_that_numba_cuda_refuses():
    with pytest.raises(UnsupportedKernelError, match=r"TILE \+ 1: numba-cuda takes numbers"):
        CpuKernel(computed_shape).launch((1, 1, 1), (1, 1, 1), 0, (np.zeros(1),))
