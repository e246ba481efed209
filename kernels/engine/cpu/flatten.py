"""Inline device functions and bring statements to a normal form.

Afterwards there are only: assignment to one name or one element, augmented assignment to an
element, calls of ``sync_`` and atomics, ``if``, ``while``, ``for ... in range``, ``break``,
``continue`` and ``return``.  Device functions are gone: their bodies stand where they were called,
under fresh names, so that later passes see one function and barriers inside them just work.

Before::                                 After::

    row, col = cuda.grid(2)                  row = bid_x_ * bdim_x_ + tid_x_
                                             col = bid_y_ * bdim_y_ + tid_y_
    acc += gelu(x[i])                        v__1 = x[i]
                                             result__2 = v__1 * ...
                                             acc = acc + result__2
"""

from __future__ import annotations

import ast
from pathlib import Path

from .arguments import is_plain_tuple, substitute
from .assignments import Assignments
from .debug import RAISE
from .exits import exit_kinds, may_lack_result, refuse_none_tests, remove_returns
from .iteration import UNROLL, unroll
from .tree import (
    EFFECTS,
    Names,
    assign,
    call,
    clone,
    const,
    fail,
    function_name,
    if_,
    is_sync,
    load,
    locate,
    negate,
    parse,
    rename,
    text_of,
    walk,
    while_,
    writes,
)
from .tuples import changes_length, split_tuples
from .webs import split_webs

MAX_STATEMENTS = 20_000
PLACE = (
    "bid_x_ + gdim_x_ * (bid_y_ + gdim_y_ * bid_z_)",
    "tid_x_ + bdim_x_ * (tid_y_ + bdim_y_ * tid_z_)",
)
"""The numbers of a block and a thread."""

INSTRUCTIONS = Path(__file__).parents[1] / "ptx"
"""Device functions from there stand for one instruction each."""


def flatten(
    kernel: ast.FunctionDef, devices: dict[str, ast.FunctionDef], names: Names
) -> ast.FunctionDef:
    """Run the pass; the kernel's body is replaced."""
    for s in walk(kernel.body):
        if isinstance(s, ast.Return) and s.value is not None:
            empty = isinstance(s.value, ast.Constant) and s.value.value is None
            if not empty:
                fail(s, text_of(s), "a kernel cannot return a value")
            s.value = None
    flattener = Flattener(devices, names)
    body = flattener.body(kernel.body)
    refuse_none_tests(body, flattener.optional)
    kernel.body = remove_returns(body, names, None)
    if changes_length(kernel.body):
        split_webs(kernel, names)
    kernel.body = split_tuples(kernel.body, names)
    if not kernel.body:
        nothing = ast.Pass()
        locate(nothing, kernel)
        kernel.body.append(nothing)
    return kernel


def as_instruction(definition: ast.FunctionDef, like: ast.AST, number: int) -> None:
    """Let everything in the function stand where the instruction does, and tell its number.

    An instruction inside another keeps to the outer one's place, but not to its number.
    """
    for n in ast.walk(definition):
        if isinstance(n, (ast.stmt, ast.expr)):
            n.file = like.file  # type: ignore[union-attr, attr-defined]
            n.lineno = n.end_lineno = like.lineno  # type: ignore[attr-defined]
            n.col_offset = n.end_col_offset = 0
            n.instruction = number  # type: ignore[union-attr]


class Flattener(Assignments):
    """Rewrites statements; ``out`` is always the list that receives what must run before."""

    def __init__(self, devices: dict[str, ast.FunctionDef], names: Names) -> None:
        super().__init__(devices, names)
        self.count = 0
        self.instructions = 0
        self.raised: list[str] = [""]
        self.optional: set[str] = set()  # results that a call may leave without a value

    def body(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in stmts:
            self.count += 1
            if self.count > MAX_STATEMENTS:
                fail(s, text_of(s), "the kernel is too large once device functions are inlined")
            getattr(self, "on_" + type(s).__name__, self.on_other)(s, out)
        return out

    def inline(self, e: ast.Call, name: str, out: list[ast.stmt]) -> ast.expr:
        """Put the body of a device function before the statement that calls it."""
        definition = clone(self.devices[name])
        if Path(getattr(definition, "file", "")).parent == INSTRUCTIONS:
            self.instructions += 1
            as_instruction(definition, e, self.instructions)
        parameters = [a.arg for a in definition.args.args]
        stored = writes(definition.body)
        mapping = {v: self.names.fresh(v) for v in sorted(stored - set(parameters))}
        given: dict[str, ast.expr] = {}
        for p, argument in zip(parameters, e.args):
            if isinstance(argument, ast.Name) and p not in stored:
                mapping[p] = argument.id
            else:
                mapping[p] = self.names.fresh(p)
                if is_plain_tuple(argument) and p not in stored:
                    given[mapping[p]] = argument
                else:
                    out.append(assign(mapping[p], argument, e))
        rename(definition.body, mapping)
        substitute(definition.body, given)
        result = self.names.fresh("result")
        if may_lack_result(definition.body):
            self.optional.add(result)
        raised = self.names.fresh("raised") if self.may_raise(name) else ""
        if raised:
            out.append(assign(raised, const(False), e))
        self.raised.append(raised)
        out += remove_returns(self.body(definition.body), self.names, result)
        self.raised.pop()
        if raised:
            leave: list[ast.stmt] = []
            self.leave(e, leave)
            out.append(if_(load(raised), leave, [], e))
        return self.load(result, e)

    def may_raise(self, name: str) -> bool:
        """True for a device function that may leave the kernel."""
        called = {function_name(n) for n in walk(self.devices[name].body)}
        return RAISE in called or any(self.may_raise(n) for n in called & self.devices.keys())

    def leave(self, like: ast.AST, out: list[ast.stmt]) -> None:
        """Leave the kernel: from a device function by way of its caller."""
        if self.raised[-1]:
            out.append(assign(self.raised[-1], const(True), like))
        end = ast.Return(None)
        locate(end, like)
        out.append(end)

    def fails(self, test: ast.expr, code: int, like: ast.AST, out: list[ast.stmt]) -> None:
        """Raise the exception of place ``code`` where ``test`` holds."""
        error = ast.Expr(call(RAISE, const(code)))
        locate(error, like)
        out.append(if_(test, self.body([error]), [], like))

    def on_Expr(self, s: ast.Expr, out: list[ast.stmt]) -> None:
        if is_sync(s):
            out.append(s)
            return
        if function_name(s.value) == RAISE:
            code = s.value.args[0]  # type: ignore[attr-defined]
            if code.value:
                report = ast.Expr(call("effect_raise_", load("launch_"), code, *map(parse, PLACE)))
                locate(report, s)
                out.append(report)
            self.leave(s, out)
            return
        s.value = self.hoist(s.value, out)
        if function_name(s.value).startswith(EFFECTS):
            out.append(s)

    def on_If(self, s: ast.If, out: list[ast.stmt]) -> None:
        test = self.hoist(s.test, out)
        out.append(if_(test, self.body(s.body), self.body(s.orelse), s))

    def on_While(self, s: ast.While, out: list[ast.stmt]) -> None:
        before: list[ast.stmt] = []
        test = self.hoist(s.test, before)
        if before:
            stop = if_(negate(test), [ast.Break()], [], s)
            out.append(while_(const(True), [*before, stop, *self.body(s.body)], s))
        else:
            out.append(while_(test, self.body(s.body), s))

    def on_For(self, s: ast.For, out: list[ast.stmt]) -> None:
        if isinstance(s.iter, ast.Call) and function_name(s.iter) == UNROLL:
            if isinstance(s.iter.args[0], ast.Tuple):
                s.iter = s.iter.args[0]
            elif exit_kinds(s.body):
                fail(s, "literal_unroll", "break and continue need a literal or global tuple")
        if isinstance(s.iter, ast.Tuple):
            for part in unroll(s, s.iter.elts, self.names):
                out.extend(self.body([part]))
            return
        assert isinstance(s.iter, ast.Call)
        s.iter.args = self.hoist_all(s.iter.args, out)
        s.body = self.body(s.body) or [ast.Pass()]
        out.append(s)

    def on_Return(self, s: ast.Return, out: list[ast.stmt]) -> None:
        if s.value is not None:
            s.value = self.hoist(s.value, out)
        out.append(s)

    def on_Pass(self, s: ast.Pass, out: list[ast.stmt]) -> None:
        return

    def on_other(self, s: ast.stmt, out: list[ast.stmt]) -> None:
        if not isinstance(s, (ast.Break, ast.Continue)):
            fail(s, type(s).__name__, "this statement is not translated to the CPU")
        out.append(s)
