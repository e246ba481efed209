"""Write the split kernel as the source text of one Numba function.

The function runs blocks until none is left.  Each region is a loop over the threads of the block::

    for b_ in range(first_, last_):
        bid_x_ = ...
        acc_all_ ...                          # storage: one element per thread
        for ty_ in range(16):                 # lines 31-33
            for tx_ in range(16):
                t_ = u_(ty_ * 16 + tx_)
                tid_x_ = np.int32(tx_)
                acc = acc_all_[t_]
                ...
                acc_all_[t_] = acc
                thread_end_()
        region_end_()
"""

from __future__ import annotations

import ast

from .expressions import Rewriter
from .failures import Failure
from .intervals import Signs
from .magnitudes import Magnitudes
from .nodes import (
    Barrier,
    Branch,
    Collective,
    Count,
    Exit,
    GridBarrier,
    Loop,
    Masked,
    MaskedLoop,
    Node,
    Region,
    Uniform,
    walk_nodes,
)
from .order import innermost, stepped_by_extents
from .region_writer import RegionWriter
from .regions import Splitter
from .storage import Storage
from .tree import literal

INDENT = "    "


class Emitter:
    """Writes one kernel; ``text`` is the function, ``storage`` its arrays."""

    def __init__(
        self,
        split: Splitter,
        signs: Signs,
        magnitudes: Magnitudes,
        block: tuple[int, int, int],
        parameters: list[str],
    ) -> None:
        self.split, self.v, self.block = split, split.v, block
        self.sizes = dict(zip("xyz", block))
        self.parameters, self.signs = parameters, signs
        self.count = block[0] * block[1] * block[2]
        self.inner = innermost(self.v, block)
        self.cooperative = any(isinstance(n, GridBarrier) for n in walk_nodes(split.tree))
        self.storage = Storage(split, self.count, stack=not self.cooperative)
        self.makers: dict[str, str] = {}
        self.failures: list[Failure] = []
        self.rewrite = Rewriter(
            self.v, signs, magnitudes, self.storage.by_element, self.sizes, self.makers
        )
        self.lines: list[str] = []

    def line(self, depth: int, text: str) -> None:
        self.lines.append(INDENT * depth + text)

    def function(self, name: str, decorator: str) -> str:
        """The source text of the whole function."""
        self.nodes(self.split.tree, 1 if self.cooperative else 3)
        body, self.lines = self.lines, []
        scratch = ["scratch_"] if self.storage.scratch_bytes or self.storage.dynamic else []
        number = ["b_"] if self.cooperative else []
        self.lines += [*self.storage.makers]
        self.lines += [f"{maker} = {made}" for maker, made in self.makers.items()]
        self.lines += ["", decorator]
        self.line(0, f"def {name}({', '.join([*self.parameters, *scratch, 'launch_', *number])}):")
        for k, (d, n) in enumerate(zip("xyz", self.block)):
            self.line(1, f"bdim_{d}_ = np.int32({n})")
            self.line(1, f"gdim_{d}_ = np.int32(launch_[{k + 2}])")
        for array in stepped_by_extents(self.v, self.parameters, self.inner):
            self.line(1, f"{array} = any_extents_({array})  # threads step by one of them")
        if any("masked_(" in text for text in body):
            self.line(1, "ones_ = any_bits_()  # so that LLVM takes no masked number for a counter")
        for text in self.storage.lines:
            self.line(1, text)
        depth = 1
        if not self.cooperative:
            self.line(1, "blocks_ = launch_[2] * launch_[3] * launch_[4]")
            self.line(1, "while True:  # take the next blocks until none is left")
            self.line(2, "first_ = atomic_add_(launch_, 0, launch_[1])")
            self.line(2, "if first_ >= blocks_:")
            self.line(3, "break")
            self.line(2, "for b_ in range(first_, min(first_ + launch_[1], blocks_)):")
            depth = 3
        # Neighbouring threads touch neighbouring memory, and so do blocks in the same direction.
        extents = {"x": "launch_[2]", "y": "launch_[3]", "z": "launch_[4]"}
        first, second, third = sorted(extents, key=lambda d: (d != self.inner, d))
        one, two = extents[first], extents[second]
        self.line(depth, f"bid_{first}_ = np.int32(b_ % {one})")
        self.line(depth, f"bid_{second}_ = np.int32(b_ // {one} % {two})")
        self.line(depth, f"bid_{third}_ = np.int32(b_ // ({one} * {two}))")
        return "\n".join([*self.lines, *body]) + "\n"

    def failure(self, s: ast.stmt, text: str) -> int:
        """The number of a new place that may fail."""
        self.failures.append(Failure(getattr(s, "file", ""), s.lineno, text))
        return len(self.failures)

    # -- block level -----------------------------------------------------------------------------
    def nodes(self, nodes: list[Node], depth: int) -> None:
        before = len(self.lines)
        for n in nodes:
            getattr(self, "on_" + type(n).__name__)(n, depth)
        if all(text.lstrip().startswith("#") for text in self.lines[before:]):
            self.line(depth, "pass")

    def on_Region(self, n: Region, depth: int) -> None:
        RegionWriter(self, n).write(depth)

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
        self.line(depth, f"for t_ in range(u_({self.count})):")
        self.line(depth + 1, f"{n.mask}_all_[t_] = {start}")
        self.line(depth, "while True:")
        self.on_Region(n.test, depth + 1)
        self.line(depth + 1, f"if count_true_({n.mask}_all_) == 0:")
        self.line(depth + 2, "break")
        self.nodes(n.body, depth + 1)

    def on_Collective(self, n: Collective, depth: int) -> None:
        if n.target not in self.split.stored:
            return
        stored = [f"{n.source}_all_", f"{n.target}_all_"]
        if n.by is None:
            masked = n.mask is not None
            maker = n.kind + ("masked_" if masked else "")
            self.makers[maker] = f"{n.kind[:-1]}({self.count}, {masked})"
            stored += [f"{n.mask}_all_"] if masked else []
        else:
            by, kind = self.known(n.by), n.kind[len("shfl_") : -1]
            known = isinstance(by, int)
            maker = f"{n.kind}{by & 31}_" if known else n.kind  # type: ignore[operator]
            given = f", {by}" if known else ""
            self.makers[maker] = f"warp_shuffle({kind!r}, {self.count}{given})"
            stored += [] if known else [self.rewrite.text(n.by)]
        self.line(depth, f"{maker}({', '.join(stored)})")

    def known(self, e: ast.expr) -> object | None:
        """The number that an expression, or the only assignment of a variable, is written as."""
        found = self.v.defs.get(e.id, []) if isinstance(e, ast.Name) else []
        if len(found) == 1 and isinstance(found[0], ast.Assign):
            e = found[0].value
        return literal(e)

    def on_Count(self, n: Count, depth: int) -> None:
        counted = f"count_true_({n.source}_all_)"
        if n.mask:
            counted = f"count_both_({n.source}_all_, {n.mask}_all_)"
        self.line(depth, f"{n.target} = np.int32({counted})")

    def on_Barrier(self, n: Barrier, depth: int) -> None:
        self.line(depth, f"# line {n.stmt.lineno}: barrier, all threads of the block are here")
        for mask, outer in n.masks:
            present = f"count_true_({mask}_all_)"
            expected = f"count_true_({outer}_all_)" if outer else str(self.count)
            number = self.failure(
                n.stmt,
                "not every thread reaches this barrier: {detail} of the threads of block {block} "
                "that have not finished do",
            )
            self.line(depth, f"if {present} != {expected}:")
            self.line(depth + 1, f"effect_raise_(launch_, {number}, b_, {present})")

    def on_GridBarrier(self, n: GridBarrier, depth: int) -> None:
        self.line(depth, "yield 0")

    # -- thread loops ----------------------------------------------------------------------------
    def dimensions(self) -> list[str]:
        """Thread dimensions from the outermost loop to the innermost."""
        outer = [d for d, n in zip("zyx", self.block[::-1]) if n > 1 and d != self.inner]
        return [*outer, self.inner]

    def thread_loops(self, depth: int, words: set[str], spans: dict[str, str]) -> int:
        """Open the loops over threads that the body needs; returns the depth of the body.

        ``spans`` gives the range of those dimensions in which not every thread is visited.
        """
        if not words & {"tid_x_", "tid_y_", "tid_z_"}:
            self.line(depth, f"for t_ in range(u_({self.count})):")
            return depth + 1
        number = ""
        for d in self.dimensions():
            self.line(depth, f"for t{d}_ in range({spans.get(d, self.sizes[d])}):")
            number = f"({number}) * {self.sizes[d]} + t{d}_" if number else f"t{d}_"
            depth += 1
        if "t_" in words:
            self.line(depth, f"t_ = u_({number})")
        for d in "xyz":
            if f"tid_{d}_" in words:
                index = f"t{d}_" if d in self.dimensions() else "0"
                self.line(depth, f"tid_{d}_ = np.int32({index})")
        return depth
