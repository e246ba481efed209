"""``nnlite exercise``: list the exercises, show one, copy it, grade a solution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ..errors import ArgumentError
from ..learn import GRADERS, Exercise, Verdict, exercise_of, grade_within
from .check import text_of
from .terminal import open_console

STYLES = {"right": "bold green", "wrong": "bold red", "open": "dim"}
OPEN = "not looked at before the rest is right"


def run(name: str | None, file: Path | None, start: Path | None, as_json: bool) -> int:
    """List, show, copy or grade; the exit code is 1 when a solution is not right."""
    if name is None:
        print(json.dumps([summary(e) for e in GRADERS.values()], indent=1)) if as_json else listed()
        return 0
    exercise = exercise_of(name)
    if file is not None and start is not None:
        raise ArgumentError("exercise: a file to grade and --start given, expected one of the two")
    if start is not None:
        copy(exercise, start)
    if file is None:
        shown = {**summary(exercise), "text": exercise.text, "started": start and str(start)}
        print(json.dumps(shown, indent=1)) if as_json else show(exercise, start)
        return 0
    verdict = grade_within(name, file)
    print(json.dumps(verdict.as_dict(), indent=1)) if as_json else report(exercise, verdict)
    return int(not verdict.passed)


def summary(exercise: Exercise) -> dict[str, Any]:
    """An exercise for JSON."""
    return {"number": exercise.number, "exercise": exercise.name, "idea": exercise.idea}


def listed() -> None:
    """One line for each exercise, and how to go on."""
    console = open_console()
    for exercise in GRADERS.values():
        console.print(f"{exercise.number:2}  {exercise.name:<10} {exercise.idea}")
    console.print(
        "\nnnlite exercise map                     shows the first one\n"
        "nnlite exercise map --start mine.py     copies it, to be filled in\n"
        "nnlite exercise map mine.py             grades what has become of it"
    )


def show(exercise: Exercise, start: Path | None) -> None:
    """The text, and how to go on."""
    console = open_console()
    if start is None:
        console.print(exercise.text)
        console.print(f"\nTo begin:  nnlite exercise {exercise.name} --start FILE.py")
    else:
        console.print(f"wrote {start}: read it, fill the holes, then")
        console.print(f"  nnlite exercise {exercise.name} {start}")


def copy(exercise: Exercise, start: Path) -> None:
    """Write the file with holes.

    Raises:
        ArgumentError: there is such a file already.
    """
    try:
        with start.open("x", encoding="utf-8", newline="\n") as file:
            file.write(exercise.path.read_text(encoding="utf-8"))
    except FileExistsError:
        raise ArgumentError(
            f"exercise: --start {start}: exists already; give the name of a new file"
        ) from None


def report(exercise: Exercise, verdict: Verdict) -> None:
    """What was graded, what is wrong and what to do about it."""
    console = open_console()
    console.print(f"exercise {exercise.number}, {exercise.name}: {verdict.file}")
    for name, stage in verdict.stages.items():
        line = Text(f"  {name:<9}{stage.said or OPEN}")
        line.stylize(STYLES[stage.state], 2, 2 + len(name))
        console.print(line)
    for finding in (*verdict.findings, *verdict.notes):
        console.print()
        console.print(text_of(finding))
    for excess in verdict.excesses:
        console.print()
        text = Text(str(excess))
        text.stylize(STYLES["wrong"], 0, len("traffic"))
        console.print(text)
    for hint in verdict.hints:
        console.print(f"\nhint: {hint}")
    last(console, exercise, verdict)


def last(console: Console, exercise: Exercise, verdict: Verdict) -> None:
    """The verdict in one line."""
    console.print()
    if not verdict.passed:
        wrong = " and ".join(n for n, s in verdict.stages.items() if s.state == "wrong")
        console.print(f"not yet: {wrong}", style=STYLES["wrong"])
        return
    following = [e.name for e in GRADERS.values() if e.number == exercise.number + 1]
    more = f"; next: nnlite exercise {following[0]}" if following else ": that was the last one"
    console.print(f"passed{more}", style=STYLES["right"])
