"""What a grader knows of an exercise: how to launch it, what is right, and what is frugal."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...kernels.ladder.exercises import EXERCISES, exercise_file
from .bounds import Bound

Sizes = tuple[int, ...]
Arrays = tuple[Any, ...]
EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        name: its name; the file with holes has its text.
        kernel: name of the kernel in the file.
        parameters: names of the kernel's parameters, the output last.
        sizes: what the numbers of a case are called.
        cases: sizes at which the result has to be right and the check clean, small ones first.
        traffic: sizes at which memory traffic is counted: whole warps, arrays of whole sectors.
        launch: ``launch(*sizes)`` gives grid and block.
        draw: ``draw(rng, *sizes)`` gives the inputs.
        reference: ``reference(*inputs)`` gives the result, from float64 inputs.
        allowed: ``allowed(inputs, expected)`` gives the largest error of a right result.
        bounds: bounds on the traffic.
        before: what the output holds before the launch; None for a mark that shows which elements
            are never written.
        forbidden: kinds of the checker's notes that count as mistakes here.
        recall: what to think of when the result is wrong.
        causes: what to think of, by the kind of a finding of the checker.
    """

    name: str
    kernel: str
    parameters: tuple[str, ...]
    sizes: tuple[str, ...]
    cases: tuple[Sizes, ...]
    traffic: Sizes
    launch: Callable[..., tuple[Any, Any]]
    draw: Callable[..., Arrays]
    reference: Callable[..., np.ndarray]
    allowed: Callable[[Arrays, np.ndarray], Any]
    bounds: tuple[Bound, ...]
    before: float | None = None
    forbidden: tuple[str, ...] = ()
    recall: str = ""
    causes: Mapping[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """1 for the first exercise."""
        return EXERCISES.index(self.name) + 1

    @property
    def path(self) -> Path:
        """The file with holes."""
        return exercise_file(self.name)

    @cached_property
    def text(self) -> str:
        """The docstring of the file with holes."""
        return ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""

    @property
    def idea(self) -> str:
        """The idea of the exercise in a few words, from the first line of its text."""
        return self.text.partition("\n")[0].partition(": ")[2].rstrip(".")

    def said(self, sizes: Sizes) -> str:
        """``n = 33``."""
        return ", ".join(f"{name} = {size}" for name, size in zip(self.sizes, sizes))


def exact(inputs: Arrays, expected: np.ndarray) -> float:
    """For results without rounding."""
    return 0.0


def rounded(inputs: Arrays, expected: np.ndarray) -> np.ndarray:
    """For one operation on each element: 4 ulp."""
    return 4 * EPS * np.abs(expected)


def summed(
    reference: Callable[..., np.ndarray], terms: Callable[..., int]
) -> Callable[[Arrays, np.ndarray], np.ndarray]:
    """For sums: ``4 sqrt(terms) eps sum |terms|``, with the number of terms from the inputs."""

    def allowed(inputs: Arrays, expected: np.ndarray) -> np.ndarray:
        magnitude = reference(*(np.abs(np.float64(x)) for x in inputs))
        return 4 * terms(*inputs) ** 0.5 * EPS * magnitude

    return allowed


def ceil(n: int, size: int) -> int:
    """How many pieces of a size cover n."""
    return -(-n // size)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random float32 numbers."""
    return rng.standard_normal(shape, dtype=np.float32)
