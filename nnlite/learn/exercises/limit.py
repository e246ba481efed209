"""Grading in a process of its own, so that a kernel that does not end can be ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from .grading import Verdict, exercise_of, grade

SECONDS = 120.0  # compiling and running take a few


def grade_within(name: str, file: str | Path, seconds: float = SECONDS) -> Verdict:
    """Grade as :func:`grade` does, for so many seconds at most.

    Args:
        name, file: as for :func:`grade`.
        seconds: after which the kernel counts as one that does not end.

    Raises:
        ArgumentError: an unknown exercise, or no such file.
    """
    exercise_of(name)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_grade_and_send, args=(sender, name, str(file)), daemon=True)
    child.start()
    sender.close()
    try:
        if receiver.poll(seconds):
            answer = receiver.recv()
        else:
            answer = f"it has not ended after {seconds:g} seconds: does each loop come to an end?"
    except EOFError:
        child.join()
        answer = f"it has ended the process it ran in (exit code {child.exitcode})"
    finally:
        child.kill()
        child.join()
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, Verdict):
        return answer
    verdict = Verdict(name, str(file))
    verdict.set("file", False, answer)
    return verdict


def _grade_and_send(sender: Connection, name: str, file: str) -> None:
    """What the process does. What the learner's file prints goes to standard error."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    try:
        with contextlib.redirect_stdout(sys.stderr):
            answer: object = grade(name, file)
    except Exception as error:
        answer = error
    sender.send(answer)
