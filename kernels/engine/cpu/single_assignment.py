"""Static single assignment of Numba's intermediate representation, in two walks over a function.

Numba's own pass walks over the whole function twice for each variable that is assigned more than
once.  Generated kernels have hundreds of them, so that pass took up to a third of their
compilation.  Here all variables are renamed together.

A phi node may be needed where the iterated dominance frontier of a variable's assignments says so
(Cytron, Ferrante, Rosen, Wegman, Zadeck, "Efficiently computing static single assignment form and
the control dependence graph", 1991).  It is made when a use asks for the value that reaches it, so
that none is made for a variable that nobody reads any more.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from numba.core import ir
from numba.core.analysis import compute_cfg_from_blocks
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import build_definitions, replace_vars_inner, replace_vars_stmt
from numba.core.postproc import PostProcessor

Statements = list[tuple[int, Any, set[str]]]


@register_pass(mutates_CFG=False, analysis_only=False)
class SingleAssignment(FunctionPass):
    """Gives every assignment a variable of its own; leaves the flow of control as it is."""

    _name = "nnlite_single_assignment"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        rename(state.func_ir.blocks)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        if state.func_ir.is_generator:
            PostProcessor(state.func_ir).run()
        return True


def rename(blocks: dict[int, ir.Block]) -> None:
    """Rename the variables of a function in place and add phi nodes."""
    graph = compute_cfg_from_blocks(blocks)
    statements = [(k, s, _names_read(s)) for k, block in blocks.items() for s in block.body]
    assigned = _assigned_again(statements, graph)
    if assigned:
        _Versions(blocks, graph, assigned).rename(statements)


def _names_read(statement: Any) -> set[str]:
    if isinstance(statement, ir.Assign):
        value = statement.value
        if isinstance(value, ir.Var):
            return {value.name}
        return {v.name for v in value.list_vars()} if isinstance(value, ir.Inst) else set()
    return {v.name for v in statement.list_vars()}


def _assigned_again(statements: Statements, graph: Any) -> dict[str, list[int]]:
    """The blocks that assign each variable which is not yet assigned once and before all uses."""
    assigned: dict[str, list[int]] = defaultdict(list)
    read: dict[str, set[int]] = defaultdict(set)
    for label, statement, names in statements:
        target = statement.target.name if isinstance(statement, ir.Assign) else ""
        if target:
            assigned[target].append(label)
        for name in names:
            if name != target:
                read[name].add(label)
    dominators = graph.dominators()

    def is_settled(name: str, labels: list[int]) -> bool:
        return len(labels) == 1 and all(labels[0] in dominators[k] for k in read[name])

    return {name: labels for name, labels in assigned.items() if not is_settled(name, labels)}


class _Versions:
    """The variables that stand for each name at each place."""

    def __init__(self, blocks: dict[int, Any], graph: Any, assigned: dict[str, list[int]]) -> None:
        self.blocks = blocks
        self.graph = graph
        self.above = graph.immediate_dominators()
        frontier = graph.dominance_frontier()
        self.places = {name: _closure(labels, frontier) for name, labels in assigned.items()}
        self.scope = next(iter(blocks.values())).scope
        self.last: dict[str, dict[int, Any]] = {name: {} for name in assigned}
        self.entering: dict[tuple[str, int], Any] = {}
        self.phis: dict[int, list[Any]] = defaultdict(list)
        self.unfinished: list[tuple[str, int, Any]] = []

    def rename(self, statements: Statements) -> None:
        old = self._rename_targets(statements)
        here, current = -1, dict[str, Any]()
        for label, statement, names in statements:
            if label != here:
                here, current = label, {}
            new: dict[str, Any] = {}
            for name in sorted(names & self.last.keys()):  # the same order in each process
                found = current.get(name) or self._on_entry(name, label)
                if found is not ir.UNDEFINED and found.name != name:
                    new[name] = found
            if new:
                _replace(statement, new)
            if isinstance(statement, ir.Assign) and statement.target.name in old:
                current[old[statement.target.name]] = statement.target
        while self.unfinished:
            name, label, phi = self.unfinished.pop()
            for before, _ in self.graph.predecessors(label):
                phi.incoming_blocks.append(before)
                phi.incoming_values.append(self._at_end(name, before))
        for label, phis in self.phis.items():
            self.blocks[label].body = phis + self.blocks[label].body

    def _rename_targets(self, statements: Statements) -> dict[str, str]:
        """Give each assignment a variable, the first one the old one; returns the old names."""
        old: dict[str, str] = {}
        for label, statement, _ in statements:
            if isinstance(statement, ir.Assign) and statement.target.name in self.last:
                name = statement.target.name
                if name in old:
                    statement.target = self.scope.redefine(name, loc=statement.loc)
                old[statement.target.name] = name
                self.last[name][label] = statement.target
        return old

    def _at_end(self, name: str, label: int) -> Any:
        """The variable that holds the value at the end of a block."""
        return self.last[name].get(label) or self._on_entry(name, label)

    def _on_entry(self, name: str, label: int) -> Any:
        """The variable that holds the value at the start of a block, or UNDEFINED."""
        passed = []
        value = self.entering.get((name, label))
        while value is None:
            passed.append(label)
            above = self.above[label]
            if label in self.places[name]:
                value = self._phi(name, label)
            elif above == label:
                value = ir.UNDEFINED
            else:
                value = self.last[name].get(above) or self.entering.get((name, above))
                label = above
        for each in passed:
            self.entering[name, each] = value
        return value

    def _phi(self, name: str, label: int) -> ir.Var:
        loc = self.blocks[label].loc
        target = self.scope.redefine(name, loc=loc)
        phi = ir.Expr.phi(loc=loc)
        self.phis[label].append(ir.Assign(target=target, value=phi, loc=loc))
        self.unfinished.append((name, label, phi))
        return target


def _closure(labels: list[int], frontier: dict[int, set[int]]) -> set[int]:
    """The iterated dominance frontier of some blocks."""
    found: set[int] = set()
    waiting = list(labels)
    while waiting:
        for label in frontier[waiting.pop()]:
            if label not in found:
                found.add(label)
                waiting.append(label)
    return found


def _replace(statement: Any, new: dict[str, Any]) -> None:
    """Replace the variables that a statement reads."""
    if isinstance(statement, ir.Assign):
        statement.value = replace_vars_inner(statement.value, new)
    else:
        replace_vars_stmt(statement, new)
