"""A kernel in PTX, taken apart: instructions with their operands, variables, parameters, labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .functions import inlined
from .operands import Operand, parse

_LABEL = re.compile(r"[$\w]+:(?!:)")
_TYPE = r"\.(pred|[bsuf]\d+|bf16|f16x2)"
_DECLARED = re.compile(r"\.reg\s+" + _TYPE + r"\s+(.*)")
_VARIABLE = re.compile(
    r"\.(shared|global|const|local)\s+(?:\.attribute\([^)]*\)\s*)?(?:\.align\s+(\d+)\s+)?"
    r"\.(\w+)\s+([\w$.]+)(?:\[(\d*)\])?(?:\s*=\s*(\{[^}]*\}|[\w.+-]+))?"
)
_PARAMETER = re.compile(
    r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)(?:\s+\.ptr[\w\s.]*?)?\s+([\w$]+)(?:\[(\d+)\])?$"
)


def bits_of(kind: str) -> int:
    """Size of a type such as ``u32``, ``f16x2`` or ``pred``."""
    if kind == "pred":
        return 1
    return {"bf16": 16, "f16x2": 32, "bf16x2": 32}.get(kind) or int(kind[1:])


@dataclass(frozen=True)
class Variable:
    """An array of bytes that the program declares: in shared, global, constant or local memory."""

    space: str
    name: str
    size: int
    align: int
    data: bytes | None = None


@dataclass(frozen=True)
class Parameter:
    """An argument of the kernel: where it lies among the others, and its type."""

    name: str
    kind: str
    offset: int
    size: int


@dataclass
class Instruction:
    """``@!%p1 add.s64 %rd1, %rd2, 4;`` in parts."""

    text: str
    name: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: str | None
    negated: bool
    number: int
    source: str = field(default="", repr=False)

    @property
    def kind(self) -> str:
        """The type of the numbers: the last modifier that is one."""
        return self.modifiers[-1]


class Program:
    """The kernel of a PTX text.

    Attributes:
        name: of the kernel.
        code: its instructions.
        labels: name -> number of the instruction behind it.
        parameters: its arguments in order.
        variables: what it declares.
    """

    def __init__(self, ptx: str) -> None:
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", ptx, flags=re.S)
        head, found, rest = inlined(text).partition(".entry")
        if not found or ".entry" in rest:
            raise ValueError("expected PTX with one kernel")
        opening = rest.index("(") if "(" in rest[: rest.index("{")] else None
        self.name = re.match(r"\s*([\w$]+)", rest)[1]  # type: ignore[index]
        closing = rest.index(")") if opening is not None else 0
        self.parameters = tuple(_parameters(rest[opening + 1 : closing] if opening else ""))
        self.variables: list[Variable] = list(_variables(head))
        self.code: list[Instruction] = []
        self.labels: dict[str, int] = {}
        self.tables: dict[str, list[str]] = {}
        self.bits: dict[str, int] = {}
        self._scopes: list[dict[str, str]] = [{}]
        self._made = 0
        for statement in _statements(rest[rest.index("{", closing) :]):
            self._add(statement)

    def _add(self, text: str) -> None:
        if text == "{":
            self._scopes.append({})
            self._made += 1
        elif text == "}":
            self._scopes.pop()
        elif text.endswith(":"):
            self.labels[text[:-1]] = len(self.code)
        elif declared := _DECLARED.match(text):
            self._declare(declared[1], declared[2])
        elif text.startswith((".shared", ".local", ".global", ".const")):
            self.variables += _variables(text + ";")
        elif text.startswith(".branchtargets"):
            names = [x.strip() for x in text.split(None, 1)[1].split(",")]
            last = next(k for k, v in self.labels.items() if v == len(self.code))
            self.tables[last] = names
        elif not text.startswith("."):
            self.code.append(self._instruction(text))

    def _declare(self, kind: str, names: str) -> None:
        for name in names.split(","):
            plain = name.strip().partition("<")[0]
            unique = plain
            if len(self._scopes) > 2 and "<" not in name:
                unique = self._scopes[-1][plain] = f"{plain}.{self._made}"
            self.bits[unique] = bits_of(kind)

    def _instruction(self, text: str) -> Instruction:
        found = re.fullmatch(r"(?:@(!?)([%\w$]+)\s+)?([\w.:]+)\s*(.*)", text)
        if found is None:
            raise ValueError(f"{text!r} is no instruction of PTX")
        name, *modifiers = found[3].split(".")
        operands = tuple(parse(x, self._unique, self._bits) for x in _split(found[4]))
        guard = self._unique(found[2]) if found[2] else None
        return Instruction(
            found[3], name, tuple(modifiers), operands, guard, found[1] == "!", len(self.code), text
        )

    def _unique(self, name: str) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return name

    def _bits(self, name: str) -> int | None:
        """Width of a register; None if there is no register of that name."""
        found = self.bits.get(name)
        if found is None and name.startswith("%"):
            found = self.bits.get(name.rstrip("0123456789"))
        return found


def _statements(body: str) -> Iterator[str]:
    """Instructions, directives, labels and the braces of scopes, without semicolons."""
    body = " ".join(body.split())
    at = 0
    while at < len(body):
        if body[at] in " ;":
            at += 1
        elif body[at] in "{}":
            yield body[at]
            at += 1
        elif label := _LABEL.match(body, at):
            yield label[0]
            at = label.end()
        else:
            end = body.find(";", at)
            yield body[at : end if end >= 0 else len(body)].strip()
            at = end + 1 if end >= 0 else len(body)


def _split(operands: str) -> Iterator[str]:
    """Operands between the commas that are outside of braces and brackets."""
    depth, start = 0, 0
    for at, c in enumerate(operands):
        depth += (c in "{[(") - (c in "}])")
        if c == "," and depth == 0:
            yield operands[start:at].strip()
            start = at + 1
    if operands[start:].strip():
        yield operands[start:].strip()


def _parameters(text: str) -> Iterator[Parameter]:
    offset = 0
    for part in filter(None, (" ".join(x.split()) for x in text.split(","))):
        found = _PARAMETER.search(part)
        if found is None:
            raise ValueError(f"{part!r} is no parameter of PTX")
        size = bits_of(found[2]) // 8 * int(found[4] or 1)
        align = int(found[1] or size)
        offset += -offset % align
        yield Parameter(found[3], found[2], offset, size)
        offset += size


def _variables(text: str) -> Iterator[Variable]:
    for found in _VARIABLE.finditer(text):
        space, align, kind, name, count, value = found.groups()
        item = bits_of(kind) // 8
        numbers = [int(x, 0) for x in re.findall(r"[\w-]+", value)] if value else []
        data = b"".join((x & (1 << 8 * item) - 1).to_bytes(item, "little") for x in numbers)
        size = item * int(count or 1)
        yield Variable(
            space, name, size, int(align or item), data.ljust(size, b"\0") if value else None
        )
