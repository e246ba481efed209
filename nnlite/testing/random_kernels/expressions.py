"""Random typed expressions.

The type of each expression is known, so that every variable can be given one type for the whole
kernel.  Integers may have any value: they wrap.  Floats are multiples of 1/2 below 16 when they are
stored, and no expression has more than 24 significant bits: float32 arithmetic on them is exact, so
that a fused multiply-add gives the same bits as a multiplication and an addition.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

from nnlite.testing.interpreter.arithmetic import BINARY, UNARY, rule

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Typed(NamedTuple):
    """An expression and the name of its type."""

    text: str
    type: str


class Scope:
    """The names that expressions of a function may use."""

    def __init__(self) -> None:
        self.ints: dict[str, str] = {}  # variables that vary, with their type
        self.floats: list[str] = []
        self.bools: list[str] = []
        self.uniform: dict[str, str] = {}  # variables with one value in all threads of a block
        self.leaves: list[Typed] = []  # readable everywhere
        self.constants = ["2", "3", "7"]  # with one value in all threads
        self.local: str | None = None  # a local array of 4 elements
        self.local_type = "int64"
        self.helpers: list[tuple[str, tuple[str, ...], str]] = []


class Expressions:
    """Writes expressions over the names of ``scope``."""

    def __init__(self, r: random.Random, features: frozenset[str]) -> None:
        self.r, self.features = r, features
        self.scope = Scope()

    def chance(self, p: float) -> bool:
        return self.r.random() < p

    def pick(self, *options: str) -> str:
        return self.r.choice(options)

    # -- integers ----------------------------------------------------------------------------------
    def leaf(self) -> Typed:
        scope, kind = self.scope, self.r.randrange(8)
        if kind <= 2 and scope.ints:
            name = self.r.choice(list(scope.ints))
            return Typed(name, scope.ints[name])
        if kind == 3 and scope.uniform:
            name = self.r.choice(list(scope.uniform))
            return Typed(name, scope.uniform[name])
        if kind == 4 and scope.local:
            where = self.pick("0", "3", "-1", "-2", f"{self.short()} & 3")
            return Typed(f"{scope.local}[{where}]", scope.local_type)
        if kind == 5 and scope.helpers:
            name, wanted, result = self.r.choice(scope.helpers)
            args = ", ".join(self.cast(self.leaf_of_names(), t) for t in wanted)
            return Typed(f"{name}({args})", result)
        if kind == 6 and scope.leaves:
            return self.r.choice(scope.leaves)
        return self.literal()

    def literal(self) -> Typed:
        if self.chance(0.2):
            kind = self.r.choice(INTEGERS)
            return Typed(f"{kind}({self.r.choice((1, 7, 100, 127, -1, 200, 2**31 - 1))})", kind)
        return Typed(str(self.r.choice((0, 1, 2, 3, 5, 7, 11, 63, 255, 1000, -1, -7))), "int64")

    def leaf_of_names(self) -> Typed:
        if not self.scope.ints:
            return self.literal()
        name = self.r.choice(list(self.scope.ints))
        return Typed(name, self.scope.ints[name])

    def short(self) -> str:
        return self.leaf_of_names().text

    def integer(self, depth: int = 2) -> Typed:
        """An integer of any type that varies."""
        if depth == 0 or self.chance(0.2):
            return self.leaf()
        kind = self.r.randrange(20)
        if kind == 0:
            t = self.r.choice(INTEGERS)
            a, b = (self.cast(self.integer(depth - 1), t) for _ in range(2))
            return Typed(f"({a} if {self.test(1)} else {b})", t)
        if kind == 1:
            t = self.r.choice(INTEGERS)
            a, b = (self.cast(self.integer(depth - 1), t) for _ in range(2))
            return Typed(f"{self.pick('min', 'max')}({a}, {b})", t)
        if kind == 2:
            return self.unary(self.pick("-", "~"), self.integer(depth - 1))
        if kind == 3 and self.scope.floats:
            return Typed(f"int64({self.real(1)})", "int64")
        if kind == 4:
            t = self.r.choice(INTEGERS)
            return Typed(self.cast(self.integer(depth - 1), t), t)
        if kind == 5 and "bits" in self.features:
            return self.bit_function(depth)
        if kind == 6:
            value, by = self.integer(depth - 1), Typed(f"({self.short()} & 7)", "int64")
            return self.binary(self.pick("<<", ">>"), value, by)
        if kind <= 9:
            fixed = ("2", "3", "5", "7", "64", "97", "1009", "(-3)")
            by = Typed(self.pick(*fixed, f"(({self.short()} & 7) + 1)"), "int64")
            return self.binary(self.pick("%", "%", "//"), self.integer(depth - 1), by)
        if kind == 10:
            return Typed(f"int32({self.test(1)})", "int32")
        left, right = self.integer(depth - 1), self.integer(depth - 1)
        return self.binary(self.pick(*"+-*&^|+-"), left, right)

    def bit_function(self, depth: int) -> Typed:
        wide = self.pick("int32", "int64", "uint32", "uint64")
        value = self.cast(self.integer(depth - 1), wide)
        name = self.pick("popc", "clz", "ffs", "brev", "selp")
        if name == "brev":
            wide = "u" + wide.lstrip("u")
            return Typed(f"cuda.brev({self.cast(self.integer(depth - 1), wide)})", wide)
        if name == "selp":
            other = self.cast(self.integer(depth - 1), wide)
            return Typed(f"cuda.selp({self.test(1)}, {value}, {other})", wide)
        return Typed(f"cuda.{name}({value})", "uint32" if name == "ffs" else wide)

    def unary(self, op: str, a: Typed) -> Typed:
        _, result = rule(UNARY[op], (np.dtype(a.type),))
        return Typed(f"({op}{a.text})", result.name)

    def binary(self, op: str, a: Typed, b: Typed) -> Typed:
        _, result = rule(BINARY[op], (np.dtype(a.type), np.dtype(b.type)))
        return Typed(f"({a.text} {op} {b.text})", result.name)

    def cast(self, e: Typed, wanted: str) -> str:
        """The expression in a type; at times with a cast that is not needed."""
        return e.text if e.type == wanted and self.chance(0.8) else f"{wanted}({e.text})"

    # -- values with one value in all threads ------------------------------------------------------
    def uniform(self, depth: int = 2) -> str:
        """An int64 that is the same in all threads of a block, 0 <= value < 11."""
        if depth == 0 or self.chance(0.3):
            leaf = self.pick(*self.scope.constants, *self.scope.uniform)
            return f"(int64({leaf}) % 11)" if leaf in self.scope.uniform or "[" in leaf else leaf
        left, right = self.uniform(depth - 1), self.uniform(depth - 1)
        return f"(({left} {self.pick(*'+-*&^')} {right}) % {self.pick('5', '7', '11')})"

    def uniform_test(self) -> str:
        return f"{self.uniform(1)} {self.pick('<', '>', '!=', '<=')} {self.uniform(1)}"

    # -- tests -------------------------------------------------------------------------------------
    def test(self, depth: int = 2) -> str:
        kind = self.r.randrange(10)
        if kind == 0 and self.scope.bools:
            return self.r.choice(self.scope.bools)
        if kind == 1 and self.scope.floats:
            return f"{self.real(1)} {self.pick('<', '>=', '==')} {self.real(0)}"
        if kind <= 3 and depth > 1:
            text = f"{self.test(1)} {self.pick('and', 'or')} {self.test(1)}"
            return f"not ({text})" if self.chance(0.3) else f"({text})"
        if kind <= 6:
            return f"{self.integer(1).text} % {self.pick('2', '3', '5')} {self.pick('==', '!=')} 1"
        a, b = self.integer(1), self.integer(0)
        return f"{a.text} {self.pick('<', '>', '==', '!=', '<=')} {b.text}"

    # -- floats ------------------------------------------------------------------------------------
    def real(self, depth: int = 2) -> str:
        """A float; at most 2**20, in multiples of 1/16."""
        if depth == 0 or self.chance(0.3):
            if self.chance(0.3) or not self.scope.floats:
                return f"float32({self.leaf_of_names().text} & 15)"
            return self.r.choice(self.scope.floats)
        if self.chance(0.15):
            a, b = self.real(depth - 1), self.real(depth - 1)
            return f"{self.pick('min', 'max')}(float32({a}), float32({b}))"
        if self.chance(0.1):
            return f"({self.real(depth - 1)} / float32({self.pick('2', '-2')}))"
        left, right = self.real(depth - 1), self.real(depth - 1)
        return f"({left} {self.pick(*'+-*')} {right})"

    def stored_real(self) -> str:
        """A float32 that may be stored: a multiple of 1/2 in 0..15.5."""
        return f"float32(int64({self.real()} * float32(2)) % 32) * float32(0.5)"
