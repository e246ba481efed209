"""Unsigned indices of 16 and 32 bits beside indices that repeat.

From a check that the one does not wrap, LLVM concludes that the other does not either, where it
knows how both count up; ``tests/test_cpu_masks.py`` has the kernels in which that was wrong.
"""

from __future__ import annotations

from .expressions import Typed
from .meetings import Meetings


class Narrow(Meetings):
    """Statements for the kernel itself, whose arrays have ``elements`` elements."""

    elements = 0

    def narrow(self, depth: int, level: str) -> None:
        """Store to the thread's own element what is read at an index that repeats."""
        kind, t = self.pick("uint32", "uint32", "uint16"), self.fresh("t")
        alone = level == "block" and self.chance(0.5)  # nothing else between two barriers
        if alone:
            self.put(depth, "cuda.syncthreads()")
        first, base = self.r.choice((("tid", f"{kind}(i - tid)"), ("i - 3", f"{kind}(n)")))
        self.put(depth, f"{t} = {kind}({first})")
        place = self.pick(f"{kind}({base} + {t})", f"{kind}({t} + {base})")
        array, column = self.r.choice((("g", ""), ("g", ""), ("out", ", 7")))
        value = self.repeated(depth, kind, t)
        self.put(depth, f"{array}[{place}{column}] = {value.text}")
        if alone:
            self.put(depth, "cuda.syncthreads()")
        if self.chance(0.5):
            self.set_integer(depth, Typed(f"{array}[i{column}]", "int64"))

    def repeated(self, depth: int, kind: str, t: str) -> Typed:
        """An element, or the sum of some, at one of the first 2, 4, 8, ... places."""
        array, of = self.r.choice([v for v in self.scope.leaves if v.text in ("x[i]", "y[i]")])
        array = array.removesuffix("[i]")
        if self.chance(0.25):
            z, total = self.fresh("z"), self.r.choice(self.variables())
            index = self.masked(kind, f"{kind}({t} + {kind}({z}))")
            element = Typed(f"{array}[{index}]", of)
            sum_ = self.binary("+", Typed(total, self.scope.ints[total]), element)
            self.put(depth, f"for {z} in range({self.pick('2', '5', 'u % 7')}):")
            self.put(depth + 1, f"{total} = {self.cast(sum_, self.scope.ints[total])}")
            return Typed(total, self.scope.ints[total])
        element = Typed(f"{array}[{self.masked(kind, t)}]", of)
        if self.chance(0.5):
            return element
        return self.binary(self.pick(*"+-^"), element, self.integer(1))

    def masked(self, kind: str, t: str) -> str:
        """An index that repeats after a power of 2, as many ways as there are to write it."""
        bits = self.r.randint(1, min(6, (self.elements - 1).bit_length() - 1))
        most, away = (1 << bits) - 1, int(kind.removeprefix("uint")) - bits
        ways = [
            *(f"{t} & {most}", f"{t} & {kind}({most})", f"{kind}({most}) & {t}", f"tid & {most}"),
            *(f"{t} % {kind}({most + 1})", f"({t} + {kind}(5)) & {kind}({most})"),
            *(f"uint8({t}) & uint8({most})", f"uint8({t}) % uint8({most + 1})"),
            f"{kind}({t} << {kind}({away})) >> {kind}({away})",
            f"({t} >> {kind}(1)) & {kind}({most})",
        ]
        if "warp" in self.features:
            ways.append(f"cuda.laneid & {most}")
        return self.pick(*ways)
