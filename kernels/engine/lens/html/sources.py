"""The text of the functions in which places of the source stand."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AROUND = 3  # lines shown around a place that is in no function


class Sources:
    """Files by number, and the lines of each that are named."""

    def __init__(self) -> None:
        self.named: dict[str, set[int]] = {}

    def number(self, file: str, line: int) -> int:
        """Number of the file; -1 where there is no place."""
        if not file or not line:
            return -1
        self.named.setdefault(file, set()).add(line)
        return list(self.named).index(file)

    def as_data(self) -> list[dict[str, Any]]:
        """Of each file its name and the parts to show: first line, and the lines' texts."""
        return [
            {"name": Path(file).name, "parts": parts(linecache.getlines(file), lines)}
            for file, lines in self.named.items()
        ]


def parts(text: list[str], lines: set[int]) -> list[dict[str, Any]]:
    """Stretches of the text that hold the lines, whole functions where there are any."""
    functions = sorted(extents(text), key=lambda e: e[1] - e[0])
    wanted = []
    for line in lines:
        around = (max(1, line - AROUND), min(len(text), line + AROUND))
        wanted.append(next((e for e in functions if e[0] <= line <= e[1]), around))
    merged: list[list[int]] = []
    for first, last in sorted(wanted):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return [{"first": a, "lines": [s.rstrip() for s in text[a - 1 : b]]} for a, b in merged]


def extents(text: list[str]) -> Iterator[tuple[int, int]]:
    """First and last line of every function, with its decorators."""
    try:
        tree = ast.parse("".join(text))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield first, node.end_lineno or node.lineno
