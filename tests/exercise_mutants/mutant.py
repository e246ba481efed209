"""A wrong solution of an exercise, made from a right one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Args:
        name: the mistake in a few words.
        edits: old and new text by turns; each old text is in the solution.
        stage: the stage that is to notice it.
        words: what the grader is to say of it, in one finding, one excess, or the stage's text.
    """

    name: str
    edits: tuple[str, ...]
    stage: str
    words: tuple[str, ...]

    def plant(self, text: str) -> str:
        """The solution with the mistake."""
        for old, new in zip(self.edits[::2], self.edits[1::2]):
            if old not in text:
                raise ValueError(f"{self.name}: {old!r} is not in the solution")
            text = text.replace(old, new)
        return text


SYNC = "    cuda.syncthreads()\n"
