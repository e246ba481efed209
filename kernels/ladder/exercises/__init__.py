"""Twelve kernels with holes, to fill in and have graded: ``nnlite exercise``.

Each file is whole but for its holes, which are marked ``...  # your code``; its docstring says
what to learn, what to compute, how the kernel is launched and what is graded. They are plain Numba
CUDA kernels. Copy one (``nnlite exercise NAME --start FILE``), fill the holes, and grade the copy
(``nnlite exercise NAME FILE``). No GPU is needed.
"""

from __future__ import annotations

from pathlib import Path

EXERCISES = (
    "map",
    "map2d",
    "guard",
    "stencil",
    "reduction",
    "scan",
    "dot",
    "conv1d",
    "matmul",
    "transpose",
    "shuffle",
    "softmax",
)
"""The exercises, from easy to hard."""


def exercise_file(name: str) -> Path:
    """The file with holes of the exercise ``name``, one of :data:`EXERCISES`."""
    return Path(__file__).parent / f"ex{EXERCISES.index(name) + 1:02}_{name}.py"


__all__ = ["EXERCISES", "exercise_file"]
