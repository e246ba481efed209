"""Second pass: inline device functions and bring statements to a normal form.

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

from .exits import exit_kinds, remove_returns
from .folding import call_np
from .tree import (
    COLLECTIVES,
    DECLARATIONS,
    EFFECTS,
    Names,
    assign,
    call,
    clone,
    const,
    fail,
    function_name,
    has_load,
    if_,
    is_sync,
    load,
    locate,
    negate,
    reads,
    rename,
    text_of,
    walk,
    while_,
    writes,
)
from .tuples import split_tuples

MAX_STATEMENTS = 20_000
HOISTED = COLLECTIVES | {*DECLARATIONS, "match_all_"}
"""Calls that become statements of their own."""


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
    body = Flattener(devices, names).body(kernel.body)
    kernel.body = split_tuples(remove_returns(body, names, None), names)
    return kernel


class Flattener:
    """Rewrites statements; ``out`` is always the list that receives what must run before."""

    def __init__(self, devices: dict[str, ast.FunctionDef], names: Names) -> None:
        self.devices, self.names = devices, names
        self.count = 0

    def body(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in stmts:
            self.count += 1
            if self.count > MAX_STATEMENTS:
                fail(s, text_of(s), "the kernel is too large once device functions are inlined")
            getattr(self, "on_" + type(s).__name__, self.on_other)(s, out)
        return out

    # -- expressions ----------------------------------------------------------------------------
    def must_hoist(self, e: ast.AST) -> bool:
        return any(
            isinstance(n, ast.Call)
            and (function_name(n) in self.devices or function_name(n) in HOISTED)
            for n in ast.walk(e)
        )

    def hoist(self, e: ast.expr, out: list[ast.stmt]) -> ast.expr:
        """The expression without device calls; the statements that compute them go to ``out``."""
        if not self.must_hoist(e):
            return e
        if isinstance(e, ast.IfExp):
            return self.hoist_choice(e, out)
        if isinstance(e, ast.BoolOp):
            return self.hoist_boolean(e, out)
        if isinstance(e, ast.Call):
            e.args = self.hoist_all(e.args, out)
            name = function_name(e)
            if name in self.devices:
                return self.inline(e, name, out)
            if name in DECLARATIONS:
                result = self.names.fresh("array")
                out.append(assign(result, e, e))
                return self.load(result, e)
            if name in COLLECTIVES:
                return self.collective(e, name, out)
            if name == "match_all_":
                return self.match_all(e, out)
            return e
        fields = [f for f, v in ast.iter_fields(e) if isinstance(v, ast.expr)]
        parts = self.hoist_all([getattr(e, f) for f in fields], out)
        for f, part in zip(fields, parts):
            setattr(e, f, part)
        for f, v in ast.iter_fields(e):
            if isinstance(v, list) and v and isinstance(v[0], ast.expr):
                setattr(e, f, self.hoist_all(v, out))
        return e

    def hoist_all(self, parts: list[ast.expr], out: list[ast.stmt]) -> list[ast.expr]:
        """Hoist siblings in order of evaluation; loads before a device call keep their place."""
        last = max((i for i, p in enumerate(parts) if self.must_hoist(p)), default=-1)
        result = []
        for i, p in enumerate(parts):
            p = self.hoist(p, out)
            if i < last and (has_load(p) or any(isinstance(n, ast.Call) for n in ast.walk(p))):
                name = self.names.fresh("part")
                out.append(assign(name, p, p))
                p = self.load(name, p)
            result.append(p)
        return result

    def hoist_choice(self, e: ast.IfExp, out: list[ast.stmt]) -> ast.expr:
        result = self.names.fresh("choice")
        test = self.hoist(e.test, out)
        body: list[ast.stmt] = []
        body.append(assign(result, self.hoist(e.body, body), e))
        orelse: list[ast.stmt] = []
        orelse.append(assign(result, self.hoist(e.orelse, orelse), e))
        out.append(if_(test, body, orelse, e))
        return self.load(result, e)

    def hoist_boolean(self, e: ast.BoolOp, out: list[ast.stmt]) -> ast.expr:
        result = self.names.fresh("both" if isinstance(e.op, ast.And) else "either")
        out.append(assign(result, self.hoist(e.values[0], out), e))
        for v in e.values[1:]:
            inner: list[ast.stmt] = []
            inner.append(assign(result, self.hoist(v, inner), v))
            test = load(result) if isinstance(e.op, ast.And) else negate(load(result))
            out.append(if_(test, inner, [], v))
        return self.load(result, e)

    def load(self, name: str, like: ast.AST) -> ast.expr:
        node = load(name)
        locate(node, like)
        return node

    def collective(self, e: ast.Call, name: str, out: list[ast.stmt]) -> ast.expr:
        """``given = exchange_(value)``, then ``got = shfl_down_(given, 16)``."""
        given, result = self.names.fresh("given"), self.names.fresh("got")
        out.append(assign(given, call("exchange_", e.args[0]), e))
        out.append(assign(result, call(name, load(given), *e.args[1:]), e))
        return self.load(result, e)

    def match_all(self, e: ast.Call, out: list[ast.stmt]) -> ast.expr:
        """The tuple (mask or 0, predicate) of ``cuda.match_all_sync``."""
        same, active = self.names.fresh("same"), self.names.fresh("active")
        out.append(assign(same, e.args[0], e))
        out.append(assign(active, e.args[1], e))
        equal = ast.Compare(load(same), [ast.Eq()], [load(active)])
        mask = ast.IfExp(equal, call_np("int32", load(same)), call_np("int32", const(0)))
        pair = ast.Tuple([mask, clone(equal)], ast.Load())
        locate(pair, e)
        return pair

    def inline(self, e: ast.Call, name: str, out: list[ast.stmt]) -> ast.expr:
        """Put the body of a device function before the statement that calls it."""
        definition = clone(self.devices[name])
        parameters = [a.arg for a in definition.args.args]
        stored = writes(definition.body)
        mapping = {v: self.names.fresh(v) for v in sorted(stored - set(parameters))}
        for p, argument in zip(parameters, e.args):
            if isinstance(argument, ast.Name) and p not in stored:
                mapping[p] = argument.id
            else:
                mapping[p] = self.names.fresh(p)
                out.append(assign(mapping[p], argument, e))
        rename(definition.body, mapping)
        result = self.names.fresh("result")
        out += remove_returns(self.body(definition.body), self.names, result)
        return self.load(result, e)

    # -- statements -----------------------------------------------------------------------------
    def on_Assign(self, s: ast.Assign, out: list[ast.stmt]) -> None:
        declared = function_name(s.value) in DECLARATIONS
        value = s.value if declared else self.hoist(s.value, out)
        if len(s.targets) > 1:
            name = self.names.fresh("value")
            out.append(assign(name, value, s))
            for target in s.targets:
                one = ast.Assign([target], load(name))
                locate(one, s)
                self.on_Assign(one, out)
            return
        target = s.targets[0]
        if isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target, value, s, out)
            return
        if isinstance(target, ast.Subscript):
            target.slice = self.hoist(target.slice, out)
        elif not isinstance(target, ast.Name):
            fail(s, text_of(target), "only variables and array elements can be assigned")
        new = ast.Assign([target], value)
        locate(new, s)
        out.append(new)

    def unpack(
        self, target: ast.Tuple | ast.List, value: ast.expr, s: ast.stmt, out: list[ast.stmt]
    ) -> None:
        if any(not isinstance(t, (ast.Name, ast.Subscript)) for t in target.elts):
            fail(s, text_of(target), "only variables and array elements can be assigned")
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            parts = value.elts
            plain = all(isinstance(t, ast.Name) for t in target.elts)
            if not plain or reads(value) & writes(target):
                spilled = []
                for part in parts:
                    spilled.append(self.names.fresh("item"))
                    out.append(assign(spilled[-1], part, s))
                parts = [load(name) for name in spilled]
        elif isinstance(value, ast.Attribute) and value.attr in ("shape", "strides"):
            parts = [
                ast.Subscript(clone(value), const(i), ast.Load()) for i in range(len(target.elts))
            ]
        else:
            name = self.names.fresh("tuple")
            out.append(assign(name, value, s))
            parts = [
                ast.Subscript(load(name), const(i), ast.Load()) for i in range(len(target.elts))
            ]
        for t, part in zip(target.elts, parts):
            one = ast.Assign([t], part)
            locate(one, s)
            self.on_Assign(one, out)

    def on_AugAssign(self, s: ast.AugAssign, out: list[ast.stmt]) -> None:
        if isinstance(s.target, ast.Name):
            value = ast.BinOp(load(s.target.id), s.op, s.value)
            locate(value, s)
            out.append(assign(s.target.id, self.hoist(value, out), s))
            return
        if not isinstance(s.target, ast.Subscript):
            fail(s, text_of(s.target), "only variables and array elements can be assigned")
        if self.must_hoist(s.target.slice) or self.must_hoist(s.value):
            old = ast.Subscript(s.target.value, s.target.slice, ast.Load())
            value = ast.BinOp(clone(old), s.op, s.value)
            s_new = ast.Assign([s.target], value)
            locate(s_new, s)
            s.target.slice = self.hoist(s.target.slice, out)
            value.left.slice = clone(s.target.slice)  # type: ignore[attr-defined]
            s_new.value = self.hoist(value, out)
            out.append(s_new)
        else:
            out.append(s)

    def on_Expr(self, s: ast.Expr, out: list[ast.stmt]) -> None:
        if is_sync(s):
            out.append(s)
            return
        before = len(out)
        value = self.hoist(s.value, out)
        if isinstance(value, ast.Name) and len(out) > before:
            return
        if not function_name(value).startswith(EFFECTS):
            fail(s, text_of(value), "the value of this expression is never used")
        s.value = value
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
        if isinstance(s.iter, ast.Tuple):
            self.unroll(s, s.iter, out)
            return
        assert isinstance(s.iter, ast.Call)
        s.iter.args = self.hoist_all(s.iter.args, out)
        s.body = self.body(s.body) or [ast.Pass()]
        out.append(s)

    def unroll(self, s: ast.For, values: ast.Tuple, out: list[ast.stmt]) -> None:
        """``for d in (-1, 0, 1)`` is written out once per item."""
        assert isinstance(s.target, ast.Name)
        if exit_kinds(s.body):
            fail(s, "for ... in (...)", "break and continue need a loop over range(...)")
        for item in values.elts:
            out.append(assign(s.target.id, self.hoist(item, out), s))
            out.extend(self.body(clone(s.body)))

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
