"""Learning GPU programming with nnlite: the ladders and the exercises."""

from .exercises import GRADERS, Exercise, Verdict, exercise_of, grade, grade_within
from .ladder import Rung, Traffic, climb, traffic

__all__ = [
    "GRADERS",
    "Exercise",
    "Rung",
    "Traffic",
    "Verdict",
    "climb",
    "exercise_of",
    "grade",
    "grade_within",
    "traffic",
]
