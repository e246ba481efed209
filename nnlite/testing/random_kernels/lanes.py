"""Control flow of warps, and of some lanes of a warp whose mask is known."""

from __future__ import annotations

from collections.abc import Callable

from .statements import Statements


class Lanes(Statements):
    """Compound statements at the levels ``warp`` and ``masked``; see ``writer``."""

    def body(self, depth: int, nest: int, level: str, mask: str, most: int = 4) -> None:
        raise NotImplementedError

    def counted(self, kind: str, name: str, write: Callable[[], None]) -> None:
        """Write a loop body that may read its counter."""
        names = self.scope.uniform if kind == "uniform" else self.scope.ints
        names[name] = "int64"
        write()
        del names[name]

    def whole(self, level: str) -> str:
        """The level below a test that is the same in all lanes of the mask."""
        return "masked" if level == "masked" else "warp"

    def if_warp(self, depth: int, nest: int, level: str, mask: str) -> None:
        u = self.r.choice(list(self.scope.uniform))
        self.put(depth, f"if (tid // 32 + {u}) % 2 == 0:")
        self.body(depth + 1, nest, "warp", mask)
        if self.chance(0.3):
            self.put(depth, "else:")
            self.body(depth + 1, nest, "warp", mask)

    def if_any(self, depth: int, nest: int, level: str, mask: str) -> None:
        tests = [
            f"cuda.{self.pick('any', 'all', 'eq')}_sync({mask}, {self.test(1)})" for _ in range(2)
        ]
        both = f" {self.pick('and', 'or')} not ".join(tests)
        self.put(depth, f"if {both if self.chance(0.3) else tests[0]}:")
        self.body(depth + 1, nest, self.whole(level), mask)
        if self.chance(0.3):
            self.put(depth, "else:")
            self.body(depth + 1, nest, self.whole(level), mask)

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

    def while_any(self, depth: int, nest: int, level: str, mask: str) -> None:
        """As many iterations as one of the lanes wants."""
        k = self.fresh("w")
        self.put(depth, f"{k} = int64({self.short()} & {self.pick('3', '7')})")
        vote = f"cuda.any_sync({mask}, {k} > 0)"
        style = self.r.randrange(3)
        if style == 0:
            self.put(depth, f"while {vote}:")
        elif style == 1:
            self.put(depth, f"while {vote} and not cuda.all_sync({mask}, {self.test(1)}):")
        else:
            self.put(depth, "while True:")
            self.put(depth + 1, f"if not {vote}:")
            self.put(depth + 2, "break")
        self.put(depth + 1, f"{k} -= 1")
        self.counted("varying", k, lambda: self.body(depth + 1, nest, self.whole(level), mask))
        if self.chance(0.3):
            self.put(depth + 1, f"if cuda.all_sync({mask}, {self.test(1)}):")
            self.put(depth + 2, self.pick("break", "continue"))
