"""Random statements that hold no other statements."""

from __future__ import annotations

import random
from collections.abc import Callable

from .expressions import Typed
from .narrow import Narrow


class Statements(Narrow):
    """Writes lines; ``writer`` adds control flow."""

    def __init__(self, r: random.Random, features: frozenset[str], statements: int) -> None:
        super().__init__(r, features)
        self.lines: list[str] = []
        self.left = statements
        self.may_return = "return"  # or the type of a device function's result, "" for never
        self.total_threads = 0  # of the grid, where a grid barrier is legal
        self.leaves = True  # single threads may return
        self.steps: list[str] = []  # device functions with barriers
        self.pairs: list[tuple[str, tuple[str, str]]] = []  # that return two values
        self.inside = 0

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    # -- statements without statements inside ------------------------------------------------------
    def simple(self, depth: int, level: str, mask: str) -> None:
        some: list[Callable[[], None]] = [
            lambda: self.assign(depth),
            lambda: self.assign(depth),
            lambda: self.keep(depth),
            lambda: self.atomic(depth),
            lambda: self.defined_at_times(depth),
        ]
        if self.slots:
            some.append(lambda: self.own_atomic(depth))
        if level == "block" and self.slots:
            some += [lambda: self.exchange(depth)] * 3
            some += [lambda: self.tree(depth), lambda: self.histogram(depth)]
            if "views" in self.features:
                some += [lambda: self.two_buffers(depth)] * 2
            if self.may_return == "return":
                some.append(lambda: self.global_exchange(depth))
            if "u" in self.scope.uniform:
                some.append(lambda: self.put(depth, f"{self.pick('u', 'v')} = {self.set_u()}"))
            if self.total_threads and not self.inside:
                some += [lambda: self.grid_exchange(depth, self.total_threads)] * 2
        if level != "free" and "warp" in self.features:
            some += [lambda: self.warp(depth, mask)] * 3
            if self.slots:
                some.append(lambda: self.warp_exchange(depth, mask))
        if self.bins is not None:
            some.append(lambda: self.put(depth, f"flags[{self.short()} & 7] = 7"))
        if level == "free" and self.leaves and self.chance(0.3):
            some = [lambda: self.leave(depth)]
        if level == "block" and self.steps:
            some += [lambda: self.step(depth)] * 2
        if "sums" in self.features and (self.scope.local or (level == "block" and self.slots)):
            some += [lambda: self.guarded_sum(depth, level)] * 3
        if "narrow" in self.features and self.elements:
            some += [lambda: self.narrow(depth, level)] * 4
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
        if self.chance(0.6):
            self.put(depth, f"if {self.test()}:")
            depth += 1
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
        elif kind == 4 and self.pairs and len(names) > 1:
            name, results = self.r.choice(self.pairs)
            x, y = self.fresh("y"), self.fresh("y")
            args = [self.cast(self.leaf_of_names(), t) for t in ("int64", "int32")]
            self.put(depth, f"{x}, {y} = {name}({', '.join(args)})")
            self.set_integer(depth, Typed(x, results[0]))
            self.set_integer(depth, Typed(y, results[1]))
        else:
            self.set_integer(depth, self.integer())

    def guarded_sum(self, depth: int, level: str) -> None:
        """Adds elements under a test, without which an index may lie outside the array."""
        array, kind, size = self.scope.local, self.scope.local_type, 4
        shared = level == "block" and bool(self.slots) and (array is None or self.chance(0.5))
        if shared:
            array, kind, size = self.slots, self.slots_type, self.threads
            self.put(depth, f"{array}[tid] = {self.short()}")
            self.put(depth, "cuda.syncthreads()")
        z, turns, name = self.fresh("z"), min(size, 5), self.r.choice(self.variables())
        index = self.pick(z, f"{turns - 1} - {z}", f"({z} * 3 + 1) % {size}", f"{z} // 2")
        test = self.test(1)
        if self.chance(0.3):
            turns, index, test = size + 2, z, f"{z} < {size}"
        span = self.pick(f"range({turns})", f"range({turns - 1}, -1, -1)", f"range(0, {turns}, 2)")
        element = Typed(f"{array}[{index}]", kind)
        total = self.binary(self.pick(*"+-^"), Typed(name, self.scope.ints[name]), element)
        self.put(depth, f"for {z} in {span}:")
        self.put(depth + 1, f"if {test}:")
        self.put(depth + 2, f"{name} = {self.cast(total, self.scope.ints[name])}")
        if shared:
            self.put(depth, "cuda.syncthreads()")

    def defined_at_times(self, depth: int) -> None:
        """A variable that has a value only where it is read."""
        c, z = self.fresh("c"), self.fresh("y")
        value = self.integer()
        self.put(depth, f"{c} = bool({self.test()})")
        self.put(depth, f"if {c}:")
        self.put(depth + 1, f"{z} = {value.text}")
        self.assign(depth)
        self.put(depth, f"if {c}:")
        self.set_integer(depth + 1, Typed(z, value.type))

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
