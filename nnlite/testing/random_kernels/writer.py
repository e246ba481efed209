"""Random control flow around random statements.

Every block of statements has a *level*: who reaches it together.

=======  ==========================================================================================
block    all unfinished threads of the block: barriers are legal
warp     all unfinished lanes of each warp that gets there: the mask may name all lanes
masked   the lanes of a variable that holds their mask
free     any threads: only what a thread does alone
=======  ==========================================================================================
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .expressions import Scope, Typed
from .meetings import Meetings

FULL = "0xFFFFFFFF"
Step = Callable[[int, int, str, str], None]


class Writer(Meetings):
    """Writes the statements of one function."""

    def __init__(self, r: random.Random, features: frozenset[str], statements: int) -> None:
        super().__init__(r, features)
        self.lines: list[str] = []
        self.left = statements
        self.may_return = "return"  # the statement that leaves, "" for none
        self.total_threads = 0  # of the grid, where a grid barrier is legal
        self.steps: list[str] = []
        self.inside = 0

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def body(self, depth: int, nest: int, level: str, mask: str, most: int = 4) -> None:
        """One to ``most`` statements."""
        self.inside += 1
        for n in range(self.r.randint(1, most)):
            if n and self.left <= 0:
                break
            self.statement(depth, nest, level, mask)
        self.inside -= 1

    def statement(self, depth: int, nest: int, level: str, mask: str) -> None:
        self.left -= 1
        if nest > 0 and self.left > 0 and self.chance(0.4):
            self.r.choice(self.compound(level))(depth, nest - 1, level, mask)
        else:
            self.simple(depth, level, mask)

    # -- statements without statements inside ------------------------------------------------------
    def simple(self, depth: int, level: str, mask: str) -> None:
        some: list[Callable[[], None]] = [
            lambda: self.assign(depth),
            lambda: self.assign(depth),
            lambda: self.keep(depth),
            lambda: self.atomic(depth),
        ]
        if self.slots:
            some.append(lambda: self.own_atomic(depth))
        if level == "block" and self.slots:
            some += [lambda: self.exchange(depth)] * 3
            some += [lambda: self.tree(depth), lambda: self.histogram(depth)]
            if "u" in self.scope.uniform:
                some.append(lambda: self.put(depth, f"{self.pick('u', 'v')} = {self.set_u()}"))
            if self.total_threads and not self.inside:
                some += [lambda: self.grid_exchange(depth, self.total_threads)] * 2
        if level != "free" and "warp" in self.features:
            some += [lambda: self.warp(depth, mask)] * 3
        if level == "free" and self.may_return and self.chance(0.3):
            some = [lambda: self.leave(depth)]
        if level == "block" and self.steps:
            some += [lambda: self.step(depth)] * 2
        before = len(self.lines)
        self.r.choice(some)()
        if len(self.lines) == before:
            self.assign(depth)

    def set_u(self) -> str:
        return f"int64({self.uniform()})"

    def step(self, depth: int) -> None:
        """Call a device function that has barriers."""
        value, u = self.cast(self.integer(1), "int32"), self.set_u()
        call = f"{self.r.choice(self.steps)}({value}, {self.slots}, int64(tid), {u})"
        self.set_integer(depth, Typed(call, "int32"))

    def leave(self, depth: int) -> None:
        if self.may_return == "return":
            self.put(depth, f"out[i, 7] = {self.integer(1).text}")
            self.put(depth, "return")
        else:
            self.put(depth, f"return {self.cast(self.integer(1), self.may_return)}")

    def assign(self, depth: int) -> None:
        names = self.variables()
        kind = self.r.randrange(8)
        if kind == 0 and self.scope.floats:
            self.put(depth, f"{self.r.choice(self.scope.floats)} = {self.stored_real()}")
        elif kind == 1 and self.scope.bools:
            self.put(depth, f"{self.r.choice(self.scope.bools)} = bool({self.test()})")
        elif kind == 2 and len(names) > 1:
            a, b = self.r.sample(names, 2)
            x, y = (self.cast(self.leaf_of_names(), self.scope.ints[v]) for v in (a, b))
            self.put(depth, f"{a}, {b} = {x}, {y}")
        elif kind == 3 and any(self.scope.ints[v] in ("int64", "uint64") for v in names):
            name = self.r.choice([v for v in names if self.scope.ints[v] in ("int64", "uint64")])
            value = self.cast(self.integer(1), self.scope.ints[name])
            self.put(depth, f"{name} {self.pick('+', '-', '*', '^', '|', '&')}= {value}")
        else:
            self.set_integer(depth, self.integer())

    def keep(self, depth: int) -> None:
        """Into memory of the thread."""
        kind, value = self.r.randrange(4), self.integer().text
        if kind == 0 and self.may_return == "return":
            self.put(depth, f"out[i, {self.pick('5', '6')}] {self.pick('', '+', '^')}= {value}")
        elif kind == 1 and self.slots:
            self.put(depth, f"{self.slots}[tid] {self.pick('', '+', '-', '|')}= {value}")
        elif self.scope.local:
            where = self.pick("0", "1", "-1", f"{self.short()} & 3", f"({self.short()} & 3) - 4")
            self.put(depth, f"{self.scope.local}[{where}] {self.pick('', '+', '*')}= {value}")
        else:
            self.assign(depth)

    # -- statements with statements inside ---------------------------------------------------------
    def compound(self, level: str) -> list[Step]:
        found: list[Step] = [self.if_free, self.for_free, self.while_free]
        if level == "block":
            found += [self.if_block, self.for_block, self.for_block, self.while_block]
            if "secret" in self.features:
                found += [self.if_secret, self.for_secret]
        if level != "free" and "warp" in self.features:
            found += [self.if_masked, self.while_masked, self.if_any]
            if level != "masked" and self.scope.uniform:
                found.append(self.if_warp)
        return found

    def if_free(self, depth: int, nest: int, level: str, mask: str) -> None:
        self.put(depth, f"if {self.test()}:")
        self.body(depth + 1, nest, "free", "")
        if self.chance(0.4):
            self.put(depth, "else:" if self.chance(0.6) else f"elif {self.test(1)}:")
            self.body(depth + 1, nest, "free", "")

    def exit_(self, depth: int, nest: int, test: str, level: str, mask: str) -> None:
        """At times leave the loop, or go on with the next iteration."""
        if self.chance(0.35):
            self.put(depth, f"if {test}:")
            self.put(depth + 1, self.pick("break", "continue"))
            self.body(depth, nest, level, mask, 2)

    def counted(self, kind: str, name: str, write: Callable[[], None]) -> None:
        """Write a loop body that may read its counter."""
        names = self.scope.uniform if kind == "uniform" else self.scope.ints
        names[name] = "int64"
        write()
        del names[name]

    def for_free(self, depth: int, nest: int, level: str, mask: str) -> None:
        k = self.fresh("k")
        spans = [f"({self.short()} & 3)", "5", "6, 0, -2"]
        spans.append(f"{self.short()} & 3, 9, ({self.short()} & 1) + 2")
        if self.slots:
            spans += ["tid % 4", "tid, 20, 7", "tid, 27, cuda.blockDim.x"]
        self.put(depth, f"for {k} in range({self.pick(*spans)}):")

        def write() -> None:
            self.body(depth + 1, nest, "free", "")
            self.exit_(depth + 1, nest, self.test(), "free", "")

        self.counted("varying", k, write)

    def while_free(self, depth: int, nest: int, level: str, mask: str) -> None:
        k = self.fresh("w")
        if self.slots and self.chance(0.4):
            self.put(depth, f"{k} = int64(tid)")
            self.put(depth, f"while {k} < {self.pick('u * 7', '30')}:")
            step = f"{k} += {self.pick('cuda.blockDim.x', '5')}"
            self.counted("varying", k, lambda: self.body(depth + 1, nest, "free", ""))
            self.put(depth + 1, step)
            return
        self.put(depth, f"{k} = int64({self.short()} & {self.pick('3', '7', '15')})")
        self.put(depth, f"while {k} > 0" + self.pick(":", f" and {self.test(1)}:"))
        self.put(depth + 1, f"{k} {self.pick('-= 1', '//= 2')}")

        def write() -> None:
            self.body(depth + 1, nest, "free", "")
            self.exit_(depth + 1, nest, self.test(), "free", "")

        self.counted("varying", k, write)

    # -- the whole block ---------------------------------------------------------------------------
    def if_block(self, depth: int, nest: int, level: str, mask: str) -> None:
        self.put(depth, f"if {self.uniform_test()}:")
        self.body(depth + 1, nest, "block", mask)
        if self.chance(0.4):
            self.put(depth, "else:" if self.chance(0.6) else f"elif {self.uniform_test()}:")
            self.body(depth + 1, nest, "block", mask)

    def for_block(self, depth: int, nest: int, level: str, mask: str) -> None:
        k = self.fresh("k")
        u = self.r.choice(list(self.scope.uniform))
        spans = ["3", f"{u} % 4", "1, 5", "6, 0, -2", f"{u} % 5, 7, {u} % 3 + 1"]
        self.put(depth, f"for {k} in range({self.pick(*spans)}):")

        def write() -> None:
            self.body(depth + 1, nest, "block", mask)
            self.exit_(depth + 1, nest, self.uniform_test(), "block", mask)

        self.counted("uniform", k, write)

    def while_block(self, depth: int, nest: int, level: str, mask: str) -> None:
        k = self.fresh("w")
        u = self.r.choice(list(self.scope.uniform))
        self.put(depth, f"{k} = {self.pick('4', f'{u} % 5', 'int64(cuda.blockDim.x // 2)')}")
        self.put(depth, f"while {k} > 0" + self.pick(":", f" and {self.uniform_test()}:"))
        self.put(depth + 1, f"{k} //= 2")

        def write() -> None:
            self.body(depth + 1, nest, "block", mask)
            self.exit_(depth + 1, nest, self.uniform_test(), "block", mask)

        self.counted("uniform", k, write)

    def secret(self) -> str:
        """An int64 below 11 that is the same in all threads, though it does not look it."""
        value = self.uniform(1)
        mine = f"{self.scope.local}[2]" if self.scope.local else "z0"
        self.hide = f"{mine} = {value}"
        return self.pick(f"(tid * 0 + {value})", f"(tid ^ tid ^ ({value}))", mine)

    def if_secret(self, depth: int, nest: int, level: str, mask: str) -> None:
        value = self.secret()
        self.put(depth, self.hide)
        self.put(depth, f"if {value} {self.pick('<', '>', '!=')} {self.pick('1', '2', '5')}:")
        self.body(depth + 1, nest, "block", mask)
        if self.chance(0.3):
            self.put(depth, "else:")
            self.body(depth + 1, nest, "block", mask)

    def for_secret(self, depth: int, nest: int, level: str, mask: str) -> None:
        k, value = self.fresh("k"), self.secret()
        self.put(depth, self.hide)
        self.put(depth, f"for {k} in range({value} % 4):")
        self.counted("varying", k, lambda: self.body(depth + 1, nest, "block", mask))

    # -- warps and some lanes ----------------------------------------------------------------------
    def if_warp(self, depth: int, nest: int, level: str, mask: str) -> None:
        u = self.r.choice(list(self.scope.uniform))
        self.put(depth, f"if (tid // 32 + {u}) % 2 == 0:")
        self.body(depth + 1, nest, "warp", mask)
        if self.chance(0.3):
            self.put(depth, "else:")
            self.body(depth + 1, nest, "warp", mask)

    def if_any(self, depth: int, nest: int, level: str, mask: str) -> None:
        name = self.pick("any", "all", "eq")
        self.put(depth, f"if cuda.{name}_sync({mask}, {self.test(1)}):")
        self.body(depth + 1, nest, "masked" if level == "masked" else "warp", mask)

    def if_masked(self, depth: int, nest: int, level: str, mask: str) -> None:
        c, m, e = self.fresh("c"), self.fresh("m"), self.fresh("m")
        self.put(depth, f"{c} = bool({self.test()})")
        self.put(depth, f"{m} = cuda.ballot_sync({mask}, {c})")
        both = self.chance(0.4)
        if both:
            self.put(depth, f"{e} = cuda.ballot_sync({mask}, not {c})")
        self.put(depth, f"if {c}:")
        self.body(depth + 1, nest, "masked", m)
        if both:
            self.put(depth, "else:")
            self.body(depth + 1, nest, "masked", e)

    def while_masked(self, depth: int, nest: int, level: str, mask: str) -> None:
        k, m, c = self.fresh("w"), self.fresh("m"), self.fresh("c")
        self.put(depth, f"{k} = int64({self.short()} & {self.pick('3', '7')})")
        self.put(depth, f"{m} = cuda.ballot_sync({mask}, {k} > 0)")
        self.put(depth, f"while {k} > 0:")
        self.put(depth + 1, f"{k} -= 1")
        self.counted("varying", k, lambda: self.body(depth + 1, nest, "masked", m))
        if self.chance(0.4):
            self.put(depth + 1, f"{c} = bool({self.test(1)})")
            self.put(depth + 1, f"{m} = cuda.ballot_sync({m}, {k} > 0 and not {c})")
            self.put(depth + 1, f"if {c}:")
            self.put(depth + 2, "break")
        else:
            self.put(depth + 1, f"{m} = cuda.ballot_sync({m}, {k} > 0)")


__all__ = ["FULL", "Scope", "Writer"]
