"""Eighth pass: write the split kernel as the source text of one Numba function.

The function runs blocks until none is left.  Each region is a loop over the threads of the block::

    for b_ in range(first_, last_):
        bid_x_ = ...
        acc_all_ ...                          # storage: one element per thread
        for ty_ in range(16):                 # lines 31-33
            for tx_ in range(16):
                t_ = ty_ * 16 + tx_
                tid_x_ = np.int32(tx_)
                acc = acc_all_[u_(t_)]
                ...
                acc_all_[u_(t_)] = acc
                thread_end_()
        region_end_()
"""

from __future__ import annotations

import ast
import re

from .expressions import Rewriter
from .flow import exposed
from .intervals import Signs
from .order import innermost
from .regions import Branch, Exit, Loop, Masked, MaskedLoop, Node, Region, Splitter, Uniform
from .storage import Storage
from .tree import function_name, reads, walk, writes

INDENT = "    "
SHORT_LOOP = 64  # threads; longer loops are vectorised before LLVM would unroll them whole
THREAD_WORDS = re.compile(r"\b(?:t_|tid_[xyz]_)\b")


class Emitter:
    """Writes one kernel; ``text`` is the function, ``storage`` its arrays."""

    def __init__(
        self, split: Splitter, signs: Signs, block: tuple[int, int, int], parameters: list[str]
    ) -> None:
        self.split, self.v, self.block = split, split.v, block
        self.parameters, self.signs = parameters, signs
        self.count = block[0] * block[1] * block[2]
        self.inner = innermost(self.v, block)
        self.storage = Storage(split, self.count)
        self.rewrite = Rewriter(self.v, signs, self.storage.by_element)
        self.lines: list[str] = []

    def line(self, depth: int, text: str) -> None:
        self.lines.append(INDENT * depth + text)

    def function(self, name: str, decorator: str) -> str:
        """The source text of the whole function."""
        scratch = ["scratch_"] if self.storage.scratch_bytes else []
        self.lines += [*self.storage.makers, ""]
        self.line(0, decorator)
        self.line(0, f"def {name}({', '.join([*self.parameters, *scratch, 'launch_'])}):")
        for k, (d, n) in enumerate(zip("xyz", self.block)):
            self.line(1, f"bdim_{d}_ = np.int32({n})")
            self.line(1, f"gdim_{d}_ = np.int32(launch_[{k + 2}])")
        for text in self.storage.lines:
            self.line(1, text)
        self.line(1, "blocks_ = launch_[2] * launch_[3] * launch_[4]")
        self.line(1, "while True:")
        self.line(2, "first_ = atomic_add_(launch_, 0, launch_[1])")
        self.line(2, "if first_ >= blocks_:")
        self.line(3, "break")
        self.line(2, "for b_ in range(first_, min(first_ + launch_[1], blocks_)):")
        self.line(3, "bid_x_ = np.int32(b_ % launch_[2])")
        self.line(3, "bid_y_ = np.int32(b_ // launch_[2] % launch_[3])")
        self.line(3, "bid_z_ = np.int32(b_ // (launch_[2] * launch_[3]))")
        self.nodes(self.split.tree, 3)
        return "\n".join(self.lines) + "\n"

    # -- block level -----------------------------------------------------------------------------
    def nodes(self, nodes: list[Node], depth: int) -> None:
        before = len(self.lines)
        for n in nodes:
            getattr(self, "on_" + type(n).__name__)(n, depth)
        if len(self.lines) == before:
            self.line(depth, "pass")

    def on_Region(self, n: Region, depth: int) -> None:
        _RegionWriter(self, n).write(depth)

    def on_Uniform(self, n: Uniform, depth: int) -> None:
        for text in self.rewrite.lines(n.stmt):
            self.line(depth, text)

    def on_Exit(self, n: Exit, depth: int) -> None:
        self.line(depth, "break" if isinstance(n.stmt, ast.Break) else "continue")

    def on_Branch(self, n: Branch, depth: int) -> None:
        self.line(depth, f"if {self.rewrite.text(n.test)}:")
        self.nodes(n.body, depth + 1)
        if n.orelse:
            self.line(depth, "else:")
            self.nodes(n.orelse, depth + 1)

    def on_Loop(self, n: Loop, depth: int) -> None:
        if isinstance(n.stmt, ast.For):
            target = n.stmt.target.id  # type: ignore[attr-defined]
            self.line(depth, f"for {target} in {self.rewrite.text(n.stmt.iter)}:")
        else:
            self.line(depth, f"while {self.rewrite.text(n.stmt.test)}:")
        self.nodes(n.body, depth + 1)

    def on_Masked(self, n: Masked, depth: int) -> None:
        known = [] if n.test is None else self.signs.known_under(n.test)
        self.signs.facts.extend(known)
        if n.full:
            self.line(depth, f"active_ = count_true_({n.mask}_all_)")
            self.line(depth, f"if active_ == {self.count}:")
            self.nodes(n.full, depth + 1)
            self.line(depth, "elif active_ > 0:")
        else:
            self.line(depth, f"if count_true_({n.mask}_all_) > 0:")
        self.nodes(n.body, depth + 1)
        del self.signs.facts[len(self.signs.facts) - len(known) :]

    def on_MaskedLoop(self, n: MaskedLoop, depth: int) -> None:
        start = f"{n.outer}_all_[t_]" if n.outer else "True"
        self.line(depth, f"for t_ in range({self.count}):")
        self.line(depth + 1, f"{n.mask}_all_[t_] = {start}")
        self.line(depth, "while True:")
        self.on_Region(n.test, depth + 1)
        self.line(depth + 1, f"if count_true_({n.mask}_all_) == 0:")
        self.line(depth + 2, "break")
        self.nodes(n.body, depth + 1)

    # -- thread loops ----------------------------------------------------------------------------
    def dimensions(self) -> list[str]:
        """Thread dimensions from the outermost loop to the innermost."""
        outer = [d for d, n in zip("zyx", self.block[::-1]) if n > 1 and d != self.inner]
        return [*outer, self.inner]

    def thread_loops(self, depth: int, words: set[str]) -> int:
        """Open the loops over threads that the body needs; returns the depth of the body."""
        sizes = dict(zip("xyz", self.block))
        if not words & {"tid_x_", "tid_y_", "tid_z_"}:
            self.line(depth, f"for t_ in range({self.count}):")
            return depth + 1
        number = ""
        for d in self.dimensions():
            self.line(depth, f"for t{d}_ in range({sizes[d]}):")
            number = f"({number}) * {sizes[d]} + t{d}_" if number else f"t{d}_"
            depth += 1
        if "t_" in words:
            self.line(depth, f"t_ = {number}")
        for d in "xyz":
            if f"tid_{d}_" in words:
                index = f"t{d}_" if d in self.dimensions() else "0"
                self.line(depth, f"tid_{d}_ = np.int32({index})")
        return depth


class _RegionWriter:
    """Writes one region: load what it needs, run the statements, store what others need."""

    def __init__(self, emitter: Emitter, region: Region) -> None:
        self.e, self.r, self.v = emitter, region, emitter.v
        self.code: list[tuple[int, str]] = []
        self.stmts = live_statements(region.stmts, emitter.split.stored)

    def put(self, depth: int, text: str) -> None:
        self.code.append((depth, text))

    def write(self, depth: int) -> None:
        if not self.stmts:
            return
        self.build()
        words = {w for _, text in self.code for w in THREAD_WORDS.findall(text)}
        numbers = [s.lineno for s in self.stmts if hasattr(s, "lineno")]
        if numbers:
            self.e.line(depth, f"# lines {min(numbers)}-{max(numbers)}")
        inside = self.e.thread_loops(depth, words)
        for extra, text in self.code:
            self.e.line(inside + extra, text)
        self.e.line(inside, "thread_end_()")
        short = self.e.block["xyz".index(self.e.inner)] <= SHORT_LOOP
        self.e.line(depth, "short_region_end_()" if short else "region_end_()")

    def build(self) -> None:
        r, rewrite, stored = self.r, self.e.rewrite, self.e.split.stored
        needed, certain = exposed(self.stmts)
        assigned = writes(self.stmts)
        remade = self.remade_in_order(needed)
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
            self.put(0, f"if {r.mask}_all_[u_(t_)]:")
        depth = 1 if guarded else 0
        for v in remade:
            self.put(depth, f"{v} = {rewrite.text(self.v.remade[v])}")
        for v in loads:
            self.put(depth, f"{v} = {v}_all_[u_(t_)]")
        used = reads(self.stmts) | {n for v in remade for n in reads(self.v.remade[v])}
        for v in sorted(used & self.v.local.keys() - self.e.storage.by_element):
            self.put(depth, f"{v} = {v}_all_[u_(t_)]")
        for s in self.stmts:
            for text in rewrite.lines(s):
                self.put(depth, text)
        for v in sorted(assigned & stored):
            self.store(v, depth, speculate)
        if guarded and r.clear:
            self.put(0, "else:")
            for v in r.clear:
                self.put(1, f"{v}_all_[u_(t_)] = False")

    def store(self, v: str, depth: int, speculate: bool) -> None:
        place, mask = f"{v}_all_[u_(t_)]", f"{self.r.mask}_all_[u_(t_)]"
        if not speculate:
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
        if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name):
            effect = any(function_name(n).startswith("atomic_") for n in walk(s.value))
            if s.targets[0].id not in live and not effect:
                continue
        live |= reads(s)
        kept.append(s)
    return kept[::-1]
