"""Grading the exercises: right result, clean check, traffic within bounds.

1. ``exercise`` says what a grader knows of an exercise; ``first`` and ``second`` list them;
2. ``loading`` takes the kernel from a learner's file;
3. ``grading`` runs it under the lens and compares;
4. ``bounds`` judges the memory traffic;
5. ``limit`` does all this in a process of its own, which can be ended.
"""

from __future__ import annotations

from .exercise import Exercise
from .grading import GRADERS, Stage, Verdict, exercise_of, grade
from .limit import grade_within

__all__ = ["GRADERS", "Exercise", "Stage", "Verdict", "exercise_of", "grade", "grade_within"]
