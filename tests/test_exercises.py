"""The exercises' graders: they pass right solutions, and say why wrong ones are wrong."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from nnlite.kernels.ladder.exercises import EXERCISES, exercise_file
from nnlite.learn import GRADERS, grade

SOLUTIONS = Path(__file__).parent / "exercise_solutions"
MUTANTS = {
    name: mutants
    for file in ("first", "second", "third")
    for name, mutants in importlib.import_module(f"tests.exercise_mutants.{file}").MUTANTS.items()
}
CASES = [(name, mutant) for name in EXERCISES for mutant in MUTANTS[name]]
SECTIONS = ("Learn:", "Do:", "Compute:", "Launch:", "Passes if:", "Hints:")


def code_lines(path):
    """Lines of a file but for its docstring."""
    text = path.read_text(encoding="utf-8")
    first = ast.parse(text).body[0].end_lineno
    return [line.strip() for line in text.splitlines()[first:] if line.strip()]


@pytest.mark.parametrize("path", sorted(SOLUTIONS.glob("*.py")), ids=lambda path: path.stem)
def test_a_right_solution_passes(path):
    """Those named after an exercise, and others that go about it in another way."""
    verdict = grade(path.stem.partition("_")[0], path)
    assert verdict.passed, verdict
    assert not verdict.notes


@pytest.mark.parametrize(("name", "mutant"), CASES, ids=[f"{n}: {m.name}" for n, m in CASES])
def test_a_wrong_solution_is_rejected_for_the_right_reason(name, mutant, tmp_path):
    path = tmp_path / f"{name}.py"
    path.write_text(mutant.plant((SOLUTIONS / path.name).read_text()))
    verdict = grade(name, path)
    assert verdict.stages[mutant.stage].state == "wrong", verdict
    found = {"check": verdict.findings, "traffic": verdict.excesses}.get(mutant.stage)
    texts = [verdict.stages[mutant.stage].said] if found is None else [str(f) for f in found]
    assert any(all(word in text for word in mutant.words) for text in texts), texts
    if mutant.stage == "check":
        assert verdict.hints


@pytest.mark.parametrize("name", EXERCISES)
def test_each_grader_rejects_five_wrong_solutions_for_all_kinds_of_reasons(name):
    assert len(MUTANTS[name]) >= 5
    assert {m.stage for m in MUTANTS[name]} == {"result", "check", "traffic"}


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_as_it_comes_is_not_yet_solved(name):
    verdict = grade(name, exercise_file(name))
    holes = [
        i
        for i, line in enumerate(exercise_file(name).read_text().splitlines(), 1)
        if line.strip().startswith("...  # your code")
    ]
    assert holes
    assert not verdict.passed
    assert ", ".join(map(str, holes)) in verdict.stages["file"].said
    assert "replace each '...' by your code" in verdict.stages["file"].said


@pytest.mark.parametrize("name", EXERCISES)
def test_filling_the_holes_is_enough(name):
    """The solution has every line that the exercise gives, in the same order."""
    lines = iter(code_lines(SOLUTIONS / f"{name}.py"))
    given = [x for x in code_lines(exercise_file(name)) if not x.startswith("...")]
    for line in given:
        assert line in lines, f"the solution lacks, or has elsewhere: {line}"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_text_says_what_a_learner_needs(name):
    exercise = GRADERS[name]
    assert exercise.text.startswith(f"Exercise {exercise.number}, {name}: ")
    assert exercise.idea
    places = [exercise.text.index(f"\n{section}\n") for section in SECTIONS]
    assert places == sorted(places)
    launch = exercise.text.partition("\nLaunch:\n")[2].partition("\nPasses if:\n")[0]
    assert f"({', '.join(exercise.parameters)})" in launch
    _, block = exercise.launch(*exercise.traffic)
    if name not in ("map", "map2d"):  # any block
        assert f"{block}](" in launch
    assert "float32" in exercise.text
    for word in exercise.text.split():
        if word.startswith("kernels/"):
            assert (Path(__file__).parents[1] / word.rstrip(".,:")).exists(), word


def test_the_exercises_are_those_of_the_folder():
    folder = exercise_file("map").parent
    assert [exercise_file(name) for name in EXERCISES] == sorted(folder.glob("ex*.py"))
    assert list(GRADERS) == list(EXERCISES)
    assert {p.stem for p in SOLUTIONS.glob("*.py")} >= set(EXERCISES)
