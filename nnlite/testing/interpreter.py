"""A slow and obvious interpreter of CUDA kernels, to test the CPU compiler against.

Each thread is a Python generator that yields at a barrier.  A block runs its threads in turn, each
up to its next barrier; a thread that has returned takes no further part.  Nothing is optimised and
nothing is checked, so what it computes for a kernel without races is what CUDA defines.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from types import CodeType, SimpleNamespace
from typing import Any

import numpy as np

Dim3 = tuple[int, int, int]


class _Barriers(ast.NodeTransformer):
    """``cuda.syncthreads()`` becomes ``yield``."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        if ast.unparse(node.value) == "cuda.syncthreads()":
            return ast.copy_location(ast.Expr(ast.Yield()), node)
        return node


def interpret(kernel: Any, grid: Dim3, block: Dim3, args: tuple[Any, ...]) -> None:
    """Run a kernel on NumPy arrays.

    It knows indices, grids, barriers, shared and local arrays, ``cuda.atomic.add`` and device
    functions that use no part of ``cuda``.  Integers are Python's: keep them within their type.

    Args:
        kernel: a ``cuda.jit`` kernel or a plain function that calls the module ``cuda``.
        grid, block: sizes in x, y and z.
        args: arrays and scalars, as the kernel takes them.
    """
    function = getattr(kernel, "py_func", kernel)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    definition.body.append(ast.parse("if False: yield").body[0])
    code = compile(ast.fix_missing_locations(_Barriers().visit(tree)), "<interpreter>", "exec")
    outer = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    outer = {name: _plain(value) for name, value in outer.items()}
    for z, y, x in itertools.product(*map(range, grid[::-1])):
        _run_block(code, function.__name__, outer, (x, y, z), grid, block, args)


def _plain(value: Any) -> Any:
    """Device functions without their compiler."""
    return value.py_func if hasattr(value, "py_func") else value


def _run_block(
    code: CodeType,
    name: str,
    outer: dict[str, Any],
    index: Dim3,
    grid: Dim3,
    block: Dim3,
    args: tuple[Any, ...],
) -> None:
    shared: dict[int, np.ndarray] = {}
    threads = []
    for z, y, x in itertools.product(*map(range, block[::-1])):
        scope = {**outer, "cuda": _cuda(shared, (x, y, z), index, grid, block)}
        exec(code, scope)
        threads.append(scope[name](*args))
    while threads:
        threads = [t for t in threads if next(t, "finished") is None]


def _cuda(
    shared: dict[int, np.ndarray], thread: Dim3, index: Dim3, grid: Dim3, block: Dim3
) -> SimpleNamespace:
    """The module ``cuda`` as one thread sees it."""
    declared = itertools.count()
    position = [index[d] * block[d] + thread[d] for d in range(3)]
    size = [grid[d] * block[d] for d in range(3)]

    def new_array(shape: Any, dtype: Any) -> np.ndarray:
        return np.zeros(shape, np.dtype(str(dtype)))

    def shared_array(shape: Any, dtype: Any) -> np.ndarray:
        return shared.setdefault(next(declared), new_array(shape, dtype))

    def add(array: np.ndarray, where: Any, value: Any) -> Any:
        old = array[where]
        array[where] += value
        return old

    def dim3(values: Dim3) -> SimpleNamespace:
        return SimpleNamespace(x=values[0], y=values[1], z=values[2])

    return SimpleNamespace(
        threadIdx=dim3(thread),
        blockIdx=dim3(index),
        blockDim=dim3(block),
        gridDim=dim3(grid),
        grid=lambda n: position[0] if n == 1 else tuple(position[:n]),
        gridsize=lambda n: size[0] if n == 1 else tuple(size[:n]),
        shared=SimpleNamespace(array=shared_array),
        local=SimpleNamespace(array=new_array),
        atomic=SimpleNamespace(add=add),
    )
