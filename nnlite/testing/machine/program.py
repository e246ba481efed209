"""A kernel in PTX, taken apart."""

from __future__ import annotations

import re


class Instruction:
    """``@!%p1 add.s64 %rd1, %rd2, 4;`` in parts."""

    def __init__(self, text: str) -> None:
        found = re.fullmatch(r"(?:@(!?%p\d+)\s+)?([\w.:]+)\s*(.*)", text)
        if found is None:
            raise ValueError(f"{text!r} is no instruction of PTX")
        self.guard: str | None = found[1]
        self.text: str = found[2]
        parts = self.text.split(".")
        self.name, self.modifiers = parts[0], parts[1:]
        self.operands: list[str] = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", found[3])

    @property
    def kind(self) -> str:
        """The type of the numbers: the last modifier."""
        return self.modifiers[-1]


class Program:
    """The kernel of a PTX text.

    Attributes:
        code: its instructions.
        labels: name -> number of the instruction behind it.
        shared_at, shared_size: where each array in shared memory begins, and bytes in all.
    """

    def __init__(self, ptx: str) -> None:
        head, _, body = ptx.partition(".entry")
        self.shared_at: dict[str, int] = {}
        self.shared_size = 0
        for name, size in re.findall(r"\.shared \.align \d+ \.b8 (\w+)\[(\d+)\]", head):
            self.shared_size += -self.shared_size % 16
            self.shared_at[name] = self.shared_size
            self.shared_size += int(size)
        body = re.sub(r"//[^\n]*", "", body[body.index("\n{") + 2 : body.rindex("}")])
        self.code: list[Instruction] = []
        self.labels: dict[str, int] = {}
        for part in re.split(r";|(?<=:)\s", body):
            text = " ".join(part.split())
            if text.startswith("$") and text.endswith(":"):
                self.labels[text[:-1]] = len(self.code)
            elif text and not text.startswith("."):
                self.code.append(Instruction(text))
