"""Writes one region as a loop over the threads of a block.

What the region needs is loaded from the storage of each thread, or computed again; what later
regions need is stored::

    acc += s[t]                              for tx_ in range(128):
                                                 tid_x_ = np.int32(tx_)
                                                 t = tid_x_
                                   ->            acc = acc_all_[u_(tx_)]
                                                 acc = acc + s[u_(t)]
                                                 acc_all_[u_(tx_)] = acc
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from numba.core import types

from .carried import exposed
from .clamps import Unclamped
from .guards import Bounds, take_guard
from .nodes import Region
from .tree import SHUFFLES, clone, function_name, has_effect, literal, reads, writes

if TYPE_CHECKING:
    from .emit import Emitter

SHORT_LOOP = 64  # threads; longer loops are vectorised before LLVM would unroll them whole
SMALL_BODY = 12  # lines; longer ones are not worth the time to compile them twice
LARGE_BODY = 40  # the same where clamped indices would be gathered
THREAD_WORDS = re.compile(r"\b(?:t_|tid_[xyz]_)\b")


class RegionWriter:
    """Writes one region: load what it needs, run the statements, store what others need."""

    def __init__(self, emitter: Emitter, region: Region) -> None:
        self.e, self.r, self.v = emitter, region, emitter.v
        self.sizes = {d: n for d, n in emitter.sizes.items() if n > 1}
        self.code: list[tuple[int, str]] = []
        self.remade: list[str] = []
        self.values: dict[str, ast.expr] = {}  # of remade variables, where they are simpler
        self.stmts = live_statements(region.stmts, emitter.split.stored)

    def put(self, depth: int, text: str) -> None:
        self.code.append((depth, text))

    def write(self, depth: int) -> None:
        if not self.stmts:
            return
        bounds = self.take_guard()
        facts = self.e.rewrite.signs.facts
        held = [f for test in bounds.tests for f in self.e.rewrite.signs.known_under(test)]
        facts.extend(held)
        self.build()
        code, unclamped = self.code, self.without_clamps()
        del facts[len(facts) - len(held) :]
        words = {w for _, text in code for w in THREAD_WORDS.findall(text)}
        numbers = [s.lineno for s in self.stmts if hasattr(s, "lineno")]
        if numbers:
            self.e.line(depth, f"# lines {min(numbers)}-{max(numbers)}")
        spans = {d: self.range_of(bounds, d) for d in bounds.dimensions()}
        words |= {f"tid_{d}_" for d in spans}
        flat = not words & {"tid_x_", "tid_y_", "tid_z_"}
        short = (self.e.count if flat else self.e.sizes[self.e.inner]) <= SHORT_LOOP
        inside = self.within(bounds) if short and len(code) <= SMALL_BODY else ""
        if inside or unclamped:
            self.e.line(depth, f"if {' and '.join(filter(None, (inside, unclamped)))}:")
            self.loops(self.code, depth + 1, words, {} if inside else spans, short)
            self.e.line(depth, "else:")
            depth += 1
        self.loops(code, depth, words, spans, short)

    def without_clamps(self) -> str:
        """Make code without clamps of indices; the test that no thread of the block needs them."""
        if self.r.mask or len(self.code) > LARGE_BODY:
            return ""
        kept, outside = self.stmts, self.e.split.block_level
        unclamped = Unclamped(self.v, self.sizes, self.e.inner, outside, writes(kept))
        self.values = {v: unclamped.visit(clone(self.v.remade[v])) for v in self.remade}
        self.stmts = [unclamped.visit(clone(s)) for s in self.stmts]
        test = self.within(unclamped.bounds)
        if test:
            self.code = []
            self.build()
        self.stmts, self.values = kept, {}
        return test

    def loops(
        self,
        code: list[tuple[int, str]],
        depth: int,
        words: set[str],
        spans: dict[str, str],
        short: bool,
    ) -> None:
        """Write the thread loops with the statements in them."""
        inside = self.e.thread_loops(depth, words, spans)
        for extra, text in code:
            self.e.line(inside + extra, text)
        self.e.line(inside, "thread_end_()")
        self.e.line(depth, f"{self.kind(code, words) if short else 'region'}_end_()")

    def kind(self, code: list[tuple[int, str]], words: set[str]) -> str:
        """What LLVM should make of a short loop.

        ``flags``: straight code that stores a flag for each thread, which a vote may read.
        ``steps``: one of several dimensions, or one that changes what is kept for each thread, or
        reads what other threads have kept: where, LLVM knows once the loop is unrolled.
        """
        straight = not any(isinstance(s, (ast.If, ast.For, ast.While)) for s in self.stmts)
        stored = writes(self.stmts) & self.e.split.stored
        if straight and any(self.v.types.get(v) == types.boolean for v in stored):
            return "flags"
        nested = len(words & {f"tid_{d}_" for d in self.sizes}) > 1
        loaded = {text.split(" = ")[0] for _, text in code if text.endswith("_all_[t_]")}
        across = any(function_name(n) in SHUFFLES for s in self.stmts for n in ast.walk(s))
        return "steps" if nested or across or loaded & stored else "short_region"

    def within(self, bounds: Bounds) -> str:
        """The test that every thread of the block passes the guard; "" if none can.

        A short loop is one or two vectors long. With bounds that are known when it is compiled, it
        needs no code for the threads that are left over.
        """
        text = self.e.rewrite.text
        tests = []
        for sign, limits, side in (("<=", dict.fromkeys("xyz", 0), bounds.low),
                                   (">=", self.e.sizes, bounds.high)):  # fmt: skip
            for d, found in side.items():
                if any(literal(e) is not None for e in found):
                    return ""
                tests += [f"{text(e)} {sign} {limits[d]}" for e in found]
        return " and ".join(tests)

    def take_guard(self) -> Bounds:
        """Take the guard off the statements where the thread loops can stand for it."""
        if self.r.mask or self.r.clear or self.r.refine:
            return Bounds()
        stored = self.e.split.stored
        self.stmts, bounds = take_guard(self.stmts, self.v, stored, self.sizes, self.e.inner)
        return bounds

    def range_of(self, bounds: Bounds, d: str) -> str:
        """The arguments of ``range`` for the threads within the bounds."""
        low = self.extreme("max", 0, bounds.low.get(d, []))
        high = self.extreme("min", self.e.sizes[d], bounds.high.get(d, []))
        return high if low == "0" else f"{low}, {high}"

    def extreme(self, function: str, known: int, found: list[ast.expr]) -> str:
        """The least or greatest of a number and expressions, those that are numbers worked out."""
        texts = []
        for e in found:
            value = literal(e)
            if isinstance(value, int):
                known = min(known, value) if function == "min" else max(known, value)
            else:
                texts.append(f"np.int64({self.e.rewrite.text(e)})")
        return f"{function}({', '.join([str(known), *texts])})" if texts else str(known)

    def build(self) -> None:
        r, rewrite, stored = self.r, self.e.rewrite, self.e.split.stored
        needed, certain = exposed(self.stmts)
        assigned = writes(self.stmts)
        self.remade = remade = self.remade_in_order(needed)
        for v in remade:
            needed |= reads(self.v.remade[v])
        loads = [
            v
            for v in sorted(stored)
            if (v in needed or (v in assigned and v not in certain))
            and v not in self.v.remade
            and not (r.refine and v == r.mask)
        ]
        speculate = bool(r.mask) and all(rewrite.speculative(s) for s in self.stmts)
        guarded = bool(r.mask) and not speculate
        if guarded:
            self.put(0, f"if {r.mask}_all_[t_]:")
        depth = 1 if guarded else 0
        used = reads(self.stmts) | {n for v in remade for n in reads(self.v.remade[v])}
        for v in sorted(used & self.v.local.keys() - self.e.storage.by_element):
            self.put(depth, f"{v} = {v}_all_[t_]")
        for v in remade:
            self.put(depth, f"{v} = {rewrite.text(self.values.get(v, self.v.remade[v]))}")
        for v in loads:
            view = v in self.e.storage.views
            self.put(depth, f"{v} = view_{v}_({v}_all_, t_)" if view else f"{v} = {v}_all_[t_]")
        for s in self.stmts:
            for text in rewrite.lines(s):
                self.put(depth, text)
        for v in sorted(assigned & stored):
            self.store(v, depth, speculate)
        if guarded and r.clear:
            self.put(0, "else:")
            for v in r.clear:
                self.put(1, f"{v}_all_[t_] = False")

    def store(self, v: str, depth: int, speculate: bool) -> None:
        place, mask = f"{v}_all_[t_]", f"{self.r.mask}_all_[t_]"
        if v in self.e.storage.views:
            self.put(depth, f"keep_view_({v}, {v}_all_, t_)")
        elif not speculate:
            self.put(depth, f"{place} = {v}")
        elif v in self.r.clear or (self.r.refine and v == self.r.mask):
            self.put(depth, f"{place} = {mask} & {v}")
        else:
            self.put(depth, f"{place} = {v} if {mask} else {place}")

    def remade_in_order(self, needed: set[str]) -> list[str]:
        """The integers to compute again, each after those it is computed from."""
        out: list[str] = []

        def add(v: str) -> None:
            if v not in out:
                for n in sorted(reads(self.v.remade[v])):
                    if n in self.v.remade:
                        add(n)
                out.append(v)

        for v in sorted(needed):
            if v in self.v.remade:
                add(v)
        return out


def live_statements(stmts: list[ast.stmt], stored: set[str]) -> list[ast.stmt]:
    """Without assignments whose value neither this region nor another one reads."""
    live = set(stored)
    kept: list[ast.stmt] = []
    for s in reversed(stmts):
        if isinstance(s, ast.Pass):
            continue
        target = s.targets[0] if isinstance(s, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id not in live and not has_effect(s):
            continue
        live |= reads(s)
        kept.append(s)
    return kept[::-1]
