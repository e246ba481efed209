"""The console of the commands, and how they write numbers of things."""

from __future__ import annotations

from rich.console import Console


def open_console() -> Console:
    """Standard output; text is printed as it is, so that brackets in a path stay brackets.

    A terminal gets lines wrapped between words, a file or a pipe whole lines.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    console.soft_wrap = not console.is_terminal
    return console


def counted(number: int, thing: str) -> str:
    """``1 epoch``, ``2 epochs``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
