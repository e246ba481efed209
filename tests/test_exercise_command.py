"""``nnlite exercise``: list, show, copy, grade; files that are no solution; kernels without end."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

from nnlite.errors import ArgumentError
from nnlite.kernels.ladder.exercises import EXERCISES, exercise_file
from nnlite.learn import GRADERS, grade, grade_within
from nnlite.testing.command import command, fail, succeed

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = Path(__file__).parent / "exercise_solutions"
HEAD = """\
from numba import cuda, float32


@cuda.jit
def difference(x, out):
    i = cuda.grid(1)
"""


@pytest.fixture
def _here(monkeypatch):
    """Grade in this process, where the kernels of the lens are compiled already."""
    monkeypatch.setattr("nnlite.cli.exercise.grade_within", grade)


def guard(folder, body):
    """A file with the kernel of exercise 3, whose body begins with line 7."""
    path = folder / "guard.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    return path


def test_without_a_name_all_are_listed():
    lines = succeed("exercise").splitlines()
    for line, exercise in zip(lines, GRADERS.values()):
        assert line.split()[:2] == [str(exercise.number), exercise.name]
        assert line.endswith(exercise.idea)
    found = json.loads(succeed("exercise", "--json"))
    assert [e["exercise"] for e in found] == list(EXERCISES)


def test_a_name_shows_the_text_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = succeed("exercise", "scan")
    assert GRADERS["scan"].text in output
    assert "nnlite exercise scan --start FILE.py" in output
    assert json.loads(succeed("exercise", "scan", "--json"))["text"] == GRADERS["scan"].text
    assert list(tmp_path.iterdir()) == []


def test_start_copies_the_holes_and_overwrites_nothing(tmp_path):
    path = tmp_path / "mine.py"
    assert f"nnlite exercise scan {path}" in succeed("exercise", "scan", "--start", path)
    assert path.read_text() == exercise_file("scan").read_text()
    path.write_text("my work")
    assert "exists already" in fail("exercise", "scan", "--start", path)
    assert path.read_text() == "my work"
    assert "No such file" in fail("exercise", "scan", "--start", tmp_path / "no" / "mine.py")


def test_wrong_arguments_are_refused_in_one_line(tmp_path):
    assert "'sort' given, expected one of map, map2d" in fail("exercise", "sort")
    assert "there is no file" in fail("exercise", "map", tmp_path / "none.py")
    both = ("exercise", "map", exercise_file("map"), "--start", tmp_path / "new.py")
    assert "expected one of the two" in fail(*both)
    assert not (tmp_path / "new.py").exists()
    with pytest.raises(ArgumentError, match="'sort' given"):
        grade("sort", exercise_file("map"))


def test_grading_in_a_process_of_its_own(tmp_path):
    """The whole command, as a learner runs it: what is printed goes to standard error."""
    text = (SOLUTIONS / "map.py").read_text()
    path = tmp_path / "map.py"
    path.write_text(text + '\nprint("I am here")\n')
    result = command("exercise", "map", path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["passed"]
    assert [s["state"] for s in found["stages"].values()] == ["right"] * 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.py"]


def test_what_is_wrong_comes_out_of_the_process(tmp_path):
    """Findings and excesses, as the README's example has them, pass from process to process."""
    code, _ = readme_section()
    path = tmp_path / "mine.py"
    path.write_text(code)
    verdict = grade_within("dot", path)
    assert [s.state for s in verdict.stages.values()] == ["right"] * 3 + ["wrong"], verdict
    assert [e.line.line for e in verdict.excesses] == [7]
    verdict = grade_within("guard", guard(tmp_path, "out[i] = x[i] - x[i - 1]\n"))
    assert {f.kind for f in verdict.findings} == {"out of bounds", "negative index"}


def test_a_kernel_without_end_is_ended(tmp_path):
    path = guard(tmp_path, "while i < 10000:\n    i = min(i, 5)\nout[0] = i\n")
    verdict = grade_within("guard", path, seconds=6)
    assert "it has not ended after 6 seconds" in verdict.stages["file"].said
    assert not verdict.passed


def test_a_file_that_ends_the_process(tmp_path):
    path = guard(tmp_path, "out[i] = x[i]\n")
    path.write_text("import os\n" + path.read_text() + "\n\nos._exit(7)\n")
    assert "(exit code 7)" in grade_within("guard", path).stages["file"].said


@pytest.mark.usefixtures("_here")
def test_a_right_and_a_wrong_solution(tmp_path):
    output = succeed("exercise", "guard", SOLUTIONS / "guard.py")
    assert "passed; next: nnlite exercise stencil" in output
    path = guard(tmp_path, "out[i] = x[i] - x[i - 1]\n")
    result = command("exercise", "guard", path)
    assert result.exit_code == 1
    for words in (
        "result   wrong at n = 1: out[0] is 0, expected",
        "check    3 mistakes at n = 1",
        "traffic  not looked at before the rest is right",
        "out of bounds: ",
        "negative index: x[-1]",
        "guard.py:7: out[i] = x[i] - x[i - 1]",
        "thread (1, 0, 0) of block (0, 0, 0)",
        "remedy: Guard the access",
        "hint: Thread 0 has no number before its own.",
        "not yet: result and check",
    ):
        assert words in result.stdout, result.stdout


@pytest.mark.usefixtures("_here")
def test_json_of_wrong_solutions(tmp_path):
    result = command("exercise", "guard", guard(tmp_path, "out[i] = x[i - 1]\n"), "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["passed"]
    assert {f["kind"] for f in found["findings"]} == {"out of bounds", "negative index"}
    assert all(f["access"]["line"] == 7 for f in found["findings"])
    path = guard(
        tmp_path,
        "for i in range(0 if i else out.size):\n    out[i] = x[i] - x[i - 1] if i > 0 else x[0]\n",
    )
    (excess, *_) = json.loads(command("exercise", "guard", path, "--json").stdout)["traffic"]
    assert (excess["line"], excess["array"]) == (8, "x")
    assert excess["found"] > excess["most"] > 0


@pytest.mark.parametrize(
    ("body", "stage", "words"),
    [
        ("out[i] =\n", "file", "line 7: this is no Python: invalid syntax"),
        ("pass\n", "result", "out[0] is never written"),
        ("out[i] = ...\n", "file", "line 7 is a hole"),
        ("raise ValueError('no')\n", "result", "ValueError: In function 'difference', file"),
        (
            "out[i] = sorted(x)\n",
            "result",
            "cannot run: line 7: sorted: this function is not translated",
        ),
        ("out[i] = y[i]\n", "result", "cannot run: line 7: y: the name is not defined"),
        ("while x[0] != 7:\n    pass\n", "check", "1 mistake at n = 1"),
        ("x[0] = 7\nout[0] = 7\n", "result", "x is changed, which is an input"),
        ("s = cuda.shared.array(99999, float32)\ns[0] = 1\nout[0] = s[0]\n", "check", "1 mistake"),
    ],
)
def test_kernels_that_are_no_solution(tmp_path, body, stage, words):
    verdict = grade("guard", guard(tmp_path, body))
    assert verdict.stages[stage].state == "wrong"
    assert words in verdict.stages[stage].said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no kernel 'difference' in the file"),
        ("difference = 3\n", "there is no kernel 'difference' in the file"),
        ("def difference(x):\n    pass\n", "takes 1 parameters (x), expected 2 (x, out)"),
        ("import nothing_of_this_name\n", "line 1: the file raises ModuleNotFoundError"),
        ("\nraise SystemExit\n", "line 2: the file raises SystemExit"),
        ("\0", "this is no Python"),
        ("\xef\xbb\xbfdifference = 3\n", "there is no kernel 'difference' in the file"),
        ("\xff", "the file is no text in UTF-8"),
    ],
)
def test_files_that_hold_no_solution(tmp_path, text, words):
    path = tmp_path / "guard.py"
    path.write_bytes(text.encode("latin-1"))
    verdict = grade("guard", path)
    assert words in verdict.stages["file"].said
    assert {s.state for s in verdict.stages.values()} == {"wrong", "open"}


def test_a_file_that_has_changed_is_read_anew(tmp_path):
    path = guard(tmp_path, "out[i] = x[i + 1]\n")
    assert {f.line for f in grade("guard", path).findings} == {7}
    guard(tmp_path, "# another line\nout[i + 1] = x[i]\n")
    found = {(f.line, f.access.source) for f in grade("guard", path).findings}
    assert found == {(8, "out[i + 1] = x[i]")}


def readme_section():
    """The solution that the README's section shows, and what is said of it."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exercises")[2]
    return re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)[:2]


@pytest.mark.usefixtures("_here")
def test_the_readme_shows_the_real_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exercises")[2]
    code, shown = readme_section()
    name, file = re.search(r"`nnlite exercise (\w+) (\w+\.py)`", section).groups()
    Path(file).write_text(code)
    result = command("exercise", name, file)
    assert result.exit_code == 1
    assert result.stdout.strip() == shown.strip()
