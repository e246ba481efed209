"""``grade``: is the result right, is the check clean, is the traffic within its bounds?"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from ...errors import ArgumentError, UnsupportedKernelError
from ...kernels.engine import kernel as engine_kernel
from ...kernels.engine.lens import Finding, Report, check
from ...kernels.engine.lens.profiler import profile
from .bounds import Excess, exceeded
from .exercise import Arrays, Exercise, Sizes
from .first import FIRST
from .loading import NotYet, described, kernel_of
from .second import SECOND

GRADERS: dict[str, Exercise] = {x.name: x for x in (*FIRST, *SECOND)}
STAGES = ("file", "result", "check", "traffic")
RIGHT, WRONG, OPEN = "right", "wrong", "open"
UNWRITTEN = np.array(0x7FC0DEAD, np.uint32).view(np.float32)  # a NaN that no computation makes


@dataclass
class Stage:
    """One thing that is graded.

    Attributes:
        state: ``right``, ``wrong``, or ``open`` when what comes before it is wrong.
        said: what was found, a few words.
    """

    state: str = OPEN
    said: str = ""


@dataclass
class Verdict:
    """What came of grading a file.

    Attributes:
        exercise, file: what was graded.
        stages: a :class:`Stage` for each of ``STAGES``.
        findings: what the checker found at the first sizes at which it found anything; ``notes``:
            what GPUs allow and is often a mistake.
        excesses: the bounds on traffic that are exceeded.
        hints: what to think of.
    """

    exercise: str
    file: str
    stages: dict[str, Stage] = field(default_factory=lambda: {name: Stage() for name in STAGES})
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    excesses: list[Excess] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True when everything is right."""
        return all(s.state == RIGHT for s in self.stages.values())

    def set(self, stage: str, right: bool, said: str) -> None:
        """Note what came of a stage."""
        self.stages[stage] = Stage(RIGHT if right else WRONG, said)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "exercise": self.exercise,
            "file": self.file,
            "passed": self.passed,
            "stages": {k: {"state": s.state, "said": s.said} for k, s in self.stages.items()},
            "findings": [f.as_dict() for f in self.findings],
            "notes": [f.as_dict() for f in self.notes],
            "traffic": [e.as_dict() for e in self.excesses],
            "hints": self.hints,
        }


def exercise_of(name: str) -> Exercise:
    """The exercise of this name.

    Raises:
        ArgumentError: there is none.
    """
    if name not in GRADERS:
        raise ArgumentError(f"exercise: {name!r} given, expected one of {', '.join(GRADERS)}")
    return GRADERS[name]


def grade(name: str, file: str | Path) -> Verdict:
    """Grade a solution of an exercise, in this process: a kernel that does not end keeps it busy.

    Args:
        name: the exercise, such as ``"stencil"``.
        file: Python file with the kernel.

    Returns:
        :class:`Verdict`; ``verdict.passed`` says if all is right.

    Raises:
        ArgumentError: an unknown exercise, or no such file.

    Example:
        >>> verdict = grade("stencil", "my_stencil.py")
        >>> verdict.stages["result"].said
        'right at 6 sizes'
    """
    exercise, path = exercise_of(name), Path(file)
    verdict = Verdict(name, str(file))
    try:
        kernel = kernel_of(exercise, path)
    except NotYet as error:
        verdict.set("file", False, str(error))
        return verdict
    verdict.set("file", True, "a kernel without holes")
    try:
        _grade(exercise, kernel, verdict)
    except UnsupportedKernelError as error:
        place = f"line {error.line}: " if Path(error.file).name == path.name else ""
        verdict.set("result", False, f"cannot run: {place}{str(error).partition(': ')[2]}")
    except Exception as error:  # whatever a learner's kernel raises
        verdict.set("result", False, f"the kernel raises {described(error)}")
    return verdict


def _grade(exercise: Exercise, function: FunctionType, verdict: Verdict) -> None:
    # With debug, what a kernel raises is not lost.
    kernel = engine_kernel(function, debug=True)
    cases = (*exercise.cases, exercise.traffic)
    for sizes in cases:
        report, wrong = run(exercise, kernel, sizes)
        forbidden = [f for f in report.notes if f.kind in exercise.forbidden]
        verdict.findings = once([*report.findings, *forbidden])
        verdict.notes = once([f for f in report.notes if f not in forbidden])
        if wrong or verdict.findings:
            _blame(exercise, verdict, sizes, wrong)
            return
    verdict.set("result", True, f"right at {len(cases)} sizes")
    verdict.set("check", True, f"clean at {len(cases)} sizes")
    grid, block = exercise.launch(*exercise.traffic)
    args = (*inputs_of(exercise, exercise.traffic), output_of(exercise, exercise.traffic))
    counted = profile(kernel, grid, block, args)
    verdict.excesses = exceeded(exercise.bounds, counted, exercise.traffic)
    many = len(verdict.excesses)
    said = f"{many} of {len(exercise.bounds)} bounds exceeded" if many else "within all bounds"
    verdict.set("traffic", not many, f"{said} at {exercise.said(exercise.traffic)}")


def _blame(exercise: Exercise, verdict: Verdict, sizes: Sizes, wrong: str) -> None:
    """Note a wrong result or the findings of the checker; each may explain the other."""
    where = exercise.said(sizes)
    verdict.set("result", not wrong, f"wrong at {where}: {wrong}" if wrong else f"right at {where}")
    found = len(verdict.findings)
    said = f"{found} mistake{'s' * (found > 1)}" if found else "clean"
    verdict.set("check", not found, f"{said} at {where}")
    kinds = {f.kind: None for f in verdict.findings}
    verdict.hints = [exercise.causes[kind] for kind in kinds if kind in exercise.causes]
    if wrong and not verdict.hints:
        verdict.hints.append(exercise.recall)


def once(findings: list[Finding]) -> list[Finding]:
    """One finding of a kind for each line and array."""
    found: dict[Any, Finding] = {}
    for f in findings:
        found.setdefault((f.kind, f.array, f.file, f.line), f)
    return list(found.values())


def run(exercise: Exercise, kernel: Any, sizes: Sizes) -> tuple[Report, str]:
    """Check a launch at these sizes; its report, and what is wrong with the result."""
    inputs = inputs_of(exercise, sizes)
    before = [np.copy(x) for x in inputs]
    out = output_of(exercise, sizes)
    grid, block = exercise.launch(*sizes)
    report = check(kernel, grid, block, (*inputs, out))
    for name, x, kept in zip(exercise.parameters, inputs, before):
        if not np.array_equal(x, kept):
            return report, f"{name} is changed, which is an input"
    return report, mistake(exercise, inputs, out)


def inputs_of(exercise: Exercise, sizes: Sizes) -> Arrays:
    """Random inputs, the same for the same sizes."""
    rng = np.random.default_rng([exercise.number, *(abs(s) for s in sizes)])
    return exercise.draw(rng, *sizes)


def expected_of(exercise: Exercise, inputs: Arrays) -> np.ndarray:
    """The result in float64."""
    return exercise.reference(*(np.float64(x) for x in inputs))


def output_of(exercise: Exercise, sizes: Sizes) -> np.ndarray:
    """An output as it is before the launch."""
    shape = expected_of(exercise, inputs_of(exercise, sizes)).shape
    before = UNWRITTEN if exercise.before is None else exercise.before
    return np.full(shape, before, np.float32)


def mistake(exercise: Exercise, inputs: Arrays, out: np.ndarray) -> str:
    """What is wrong with a result; empty if nothing is."""
    expected = expected_of(exercise, inputs)
    with np.errstate(invalid="ignore"):
        right = np.abs(out - expected) <= exercise.allowed(inputs, expected)  # NaN is not
    if right.all():
        return ""
    name, total = exercise.parameters[-1], out.size
    missing = out.view(np.uint32) == UNWRITTEN.view(np.uint32)
    for which, words in ((missing, "is never written"), (~right, "")):
        if which.any():
            index = tuple(int(i[0]) for i in np.nonzero(which))
            place = f"{name}[{', '.join(map(str, index))}]"
            words = words or f"is {out[index]:.6g}, expected {expected[index]:.6g}"
            several = f" ({which.sum():,} of {total:,})" if total > 1 else ""
            return f"{place} {words}{several}"
    raise AssertionError("a result that is not right has a place")
