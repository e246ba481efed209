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

from collections.abc import Callable

from .lanes import Lanes

Step = Callable[[int, int, str, str], None]


class Writer(Lanes):
    """Writes the statements of one function."""

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

    # -- statements with statements inside ---------------------------------------------------------
    def compound(self, level: str) -> list[Step]:
        found: list[Step] = [self.if_free, self.for_free, self.while_free]
        if level == "block":
            found += [self.if_block, self.for_block, self.for_block, self.while_block]
            if "counting" in self.features:
                found.append(self.while_counting)
            if "secret" in self.features:
                found += [self.if_secret, self.for_secret]
        if level != "free" and "warp" in self.features:
            found += [self.if_masked, self.while_masked, self.if_any, self.while_any]
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
            leave = self.pick("break", "continue")
            self.put(depth + 1, self.may_leave(leave) if level != "masked" else leave)
            self.body(depth, nest, level, mask, 2)

    def for_free(self, depth: int, nest: int, level: str, mask: str) -> None:
        k = self.fresh("k")
        spans = [f"({self.short()} & 3)", "5", "6, 0, -2", "19"]
        spans += [f"{u} % 23" for u in self.scope.uniform]
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
        style = self.r.randrange(3)
        if style < 2:
            self.put(depth, f"while {k} > 0" + ("", f" and {self.test(1)}")[style] + ":")
        else:
            self.put(depth, "while True:")
            self.put(depth + 1, f"if {k} <= 0{self.pick('', ' or ' + self.test(1))}:")
            self.put(depth + 2, self.may_leave("break"))
        self.put(depth + 1, f"{k} {self.pick('-= 1', '//= 2')}")

        def write() -> None:
            self.body(depth + 1, nest, "free", "")
            self.exit_(depth + 1, nest, self.test(), "free", "")

        self.counted("varying", k, write)

    def may_leave(self, statement: str) -> str:
        """``statement``, or at times a return; at block level of all threads together."""
        leaves = self.may_return and not self.total_threads and self.chance(0.2)
        value = "" if self.may_return == "return" else f" {self.may_return}({self.short()})"
        return f"return{value}" if leaves else statement

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
        fixed = ["3", "1, 5", "6, 0, -2"]
        spans = [*fixed, f"{u} % 4", f"{u} % 5, 7, {u} % 3 + 1", f"7, {u} % 5, -({u} % 3) - 1"]
        span = self.pick(*spans)
        self.put(depth, f"for {k} in range({span}):")

        def write() -> None:
            self.body(depth + 1, nest, "block", mask)
            self.exit_(depth + 1, nest, self.uniform_test(), "block", mask)

        self.counted("uniform", k, write)
        self.after_loop(depth, nest, mask)
        if not self.inside and span in fixed:  # the counter keeps its last value
            self.scope.ints[k] = "int64"

    def after_loop(self, depth: int, nest: int, mask: str) -> None:
        """At times what happens when the loop above was not left by ``break``."""
        if self.chance(0.15):
            self.put(depth, "else:")
            self.body(depth + 1, nest, "block", mask, 2)

    def while_counting(self, depth: int, nest: int, level: str, mask: str) -> None:
        """As many iterations as one of the threads wants."""
        k = self.fresh("w")
        self.put(depth, f"{k} = int64({self.short()} & 3)")
        self.put(depth, f"while cuda.syncthreads_or(int32({k} > 0)) > 0:")
        self.put(depth + 1, f"{k} -= 1")
        self.counted("varying", k, lambda: self.body(depth + 1, nest, "block", mask))

    def while_block(self, depth: int, nest: int, level: str, mask: str) -> None:
        k = self.fresh("w")
        u = self.r.choice(list(self.scope.uniform))
        self.put(depth, f"{k} = {self.pick('4', f'{u} % 5', 'int64(cuda.blockDim.x // 2)')}")
        style = self.r.randrange(3)
        if style < 2:
            self.put(depth, f"while {k} > 0" + ("", f" and {self.uniform_test()}")[style] + ":")
        else:
            self.put(depth, "while True:")
            self.put(depth + 1, f"if {k} <= 0{self.pick('', ' or ' + self.uniform_test())}:")
            self.put(depth + 2, "break")
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

        def write() -> None:
            self.body(depth + 1, nest, "block", mask)
            self.exit_(depth + 1, nest, self.uniform_test(), "block", mask)

        self.counted("varying", k, write)
