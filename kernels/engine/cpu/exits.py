"""``return``, ``break`` and ``continue`` around barriers become flags.

Threads that have left a kernel no longer take part in barriers.  For the passes that split a kernel
at its barriers this must be visible as ordinary ``if``.

Before::                                 After::

    if i >= n:                               if not i >= n:      # alone = "body"
        return                                   s[t] = x[i]
    s[t] = x[i]                                  sync_()
    cuda.syncthreads()

``alone`` names the branch whose absent threads have all finished, so that a barrier inside is legal
although the test differs between threads.
"""

from __future__ import annotations

import ast

from .tree import (
    Names,
    assign,
    blocks,
    conjunction,
    const,
    fail,
    has_sync,
    if_,
    literal,
    load,
    locate,
    negate,
    range_bounds,
    text_of,
    walk,
    while_,
)


def remove_returns(body: list[ast.stmt], names: Names, result: str | None) -> list[ast.stmt]:
    """Run the pass on a function body; ``result`` receives the value of a device function."""
    return _Exits(names, result).function(body)


class _Exits:
    def __init__(self, names: Names, result: str | None) -> None:
        self.names, self.result = names, result
        self.done = ""

    def function(self, body: list[ast.stmt]) -> list[ast.stmt]:
        body = self.nest(body)
        self.barriers = has_sync(body)
        if any(isinstance(n, ast.Return) for n in walk(body)):
            self.done = self.names.fresh("done")
            first = assign(self.done, const(False), body[0])
            body = [first, *self.flag(body, in_loop=False)]
        return self.lower_loops(body)

    def leave(self, s: ast.Return) -> list[ast.stmt]:
        return [assign(self.result, s.value, s)] if self.result and s.value is not None else []

    # -- returns outside loops: nest what follows ----------------------------------------------
    def nest(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        """``if c: return`` + rest becomes ``if not c: rest``; a final return disappears."""
        out: list[ast.stmt] = []
        for i, s in enumerate(stmts):
            if isinstance(s, ast.Return):
                return out + self.leave(s)
            if isinstance(s, ast.If) and any(isinstance(n, ast.Return) for n in ast.walk(s)):
                rest = stmts[i + 1 :]
                body_leaves, else_leaves = always_returns(s.body), always_returns(s.orelse)
                if body_leaves or else_leaves or not rest:
                    body = self.nest(s.body + ([] if body_leaves else rest))
                    orelse = self.nest(s.orelse + (rest if body_leaves and not else_leaves else []))
                    new = if_(s.test, body, orelse, s)
                    alone = ""
                    if body_leaves != else_leaves:
                        alone = "orelse" if body_leaves else "body"
                    if orelse and all(isinstance(x, ast.Pass) for x in new.body):
                        new = if_(negate(s.test), orelse, [], s)
                        alone = "body" if alone == "orelse" else ""
                    return [*out, self.mark(new, alone)]
            out.append(s)
        return out

    # -- returns inside loops: a flag ------------------------------------------------------------
    def flag(self, stmts: list[ast.stmt], in_loop: bool) -> list[ast.stmt]:
        """Remaining returns set ``done``, leave their loops, and guard what follows."""
        out: list[ast.stmt] = []
        for i, s in enumerate(stmts):
            if isinstance(s, ast.Return):
                out += [*self.leave(s), assign(self.done, const(True), s)]
                return [*out, self.exit_loop(s)] if in_loop else out
            if not any(isinstance(n, ast.Return) for n in ast.walk(s)):
                out.append(s)
                continue
            if isinstance(s, ast.If):
                s.body = self.flag(s.body, in_loop) or [ast.Pass()]
                s.orelse = self.flag(s.orelse, in_loop)
                out.append(s)
                if in_loop:
                    continue
            else:
                s.body = self.flag(s.body, True)  # type: ignore[attr-defined]
                out.append(s)
                if in_loop:
                    out.append(if_(load(self.done), [self.exit_loop(s)], [], s))
                    continue
            rest = stmts[i + 1 :]
            if rest:
                guard = if_(negate(load(self.done)), self.flag(rest, False), [], s)
                out.append(self.mark(guard, "body"))
            return out
        return out

    def mark(self, s: ast.If, alone: str) -> ast.If:
        """Threads that return from a device function come back, so there nobody has finished."""
        if self.result is None:
            s.alone = alone  # type: ignore[attr-defined]
        return s

    def exit_loop(self, like: ast.stmt) -> ast.stmt:
        node = ast.Break()
        node.from_return = self.result is None  # type: ignore[attr-defined]
        locate(node, like)
        return node

    # -- loops with barriers ---------------------------------------------------------------------
    def lower_loops(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for s in stmts:
            for b in blocks(s):
                b[:] = self.lower_loops(b)
            kinds = exit_kinds(s.body) if isinstance(s, (ast.For, ast.While)) else set()
            leaves = "return" in kinds and self.barriers
            if isinstance(s, (ast.For, ast.While)) and (leaves or (kinds and has_sync(s))):
                out += lower_loop(s, self.names, self.done)
            else:
                out.append(s)
        return out


def always_returns(stmts: list[ast.stmt]) -> bool:
    for s in stmts:
        if isinstance(s, ast.Return):
            return True
        if isinstance(s, ast.If) and always_returns(s.body) and always_returns(s.orelse):
            return True
    return False


def may_lack_result(body: list[ast.stmt]) -> bool:
    """True when some way through a device function returns a value and another returns none.

    ``return None`` becomes a ``return`` without a value on the way.
    """
    ends = [n for n in walk(body) if isinstance(n, ast.Return)]
    valued = [n for n in ends if not (n.value is None or getattr(n.value, "value", n) is None)]
    if not valued:
        return False
    for n in ends:
        if n not in valued:
            n.value = None
    return len(valued) < len(ends) or not always_returns(body)


def refuse_none_tests(body: list[ast.stmt], optional: set[str]) -> None:
    """Refuse ``r is None`` where ``r`` may be the missing result of a device function.

    A missing result is a variable that was not assigned; nothing tells it from one that was.
    """
    for s in walk(body):
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Name) and s.value.id in optional:
            optional |= {t.id for t in s.targets if isinstance(t, ast.Name)}
    for n in walk(body):
        asks = isinstance(n, ast.Compare) and isinstance(n.ops[0], (ast.Is, ast.IsNot))
        if asks and isinstance(n.left, ast.Name) and n.left.id in optional:  # type: ignore[attr-defined]
            why = "whether a device function returned a value is not known on the CPU"
            fail(n, text_of(n), why)


def exit_kinds(stmts: list[ast.stmt]) -> set[str]:
    """How the loop with this body is left early: "break", "continue", "return"."""
    kinds: set[str] = set()
    for s in stmts:
        if isinstance(s, ast.Break):
            kinds.add("return" if getattr(s, "from_return", False) else "break")
        elif isinstance(s, ast.Continue):
            kinds.add("continue")
        elif isinstance(s, ast.If):
            kinds |= exit_kinds(s.body) | exit_kinds(s.orelse)
    return kinds


def lower_loop(s: ast.For | ast.While, names: Names, done: str) -> list[ast.stmt]:
    """The loop without break and continue: flags in its test, guards in its body.

    ``done`` is the flag that returns set; without one, leaving by return is an ordinary break.
    """
    kinds = exit_kinds(s.body)
    if not done and "return" in kinds:
        kinds = kinds - {"return"} | {"break"}
    flags = _LoopFlags(names, done, kinds)
    before: list[ast.stmt] = []
    if isinstance(s, ast.For) and kinds == {"continue"}:
        s.body = [assign(flags.skip, const(False), s), *flags.guard(s.body)]
        return [s]
    if isinstance(s, ast.For):
        init, test, head, step = counting_loop(s, names)
        before += init
    else:
        test, head, step = s.test, [], []
    if "break" in kinds:
        before.append(assign(flags.broken, const(False), s))
        test = conjunction(negate(load(flags.broken)), test)
    inner = flags.guard(s.body)
    if kinds & {"break", "continue"}:
        head = [*head, assign(flags.skip, const(False), s)]
    new = while_(conjunction(test), [*head, *inner, *step], s)
    if "return" in kinds:
        new.test = conjunction(negate(load(done)), test)
        locate(new.test, s)
        new.base_test = test  # type: ignore[attr-defined]
    return [*before, new]


class _LoopFlags:
    def __init__(self, names: Names, done: str, kinds: set[str]) -> None:
        self.done = done
        self.broken = names.fresh("broken") if "break" in kinds else ""
        self.skip = names.fresh("skip") if kinds & {"break", "continue"} else ""

    def guard(self, stmts: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for i, s in enumerate(stmts):
            if isinstance(s, (ast.Break, ast.Continue)):
                if not self.done or not getattr(s, "from_return", False):
                    if isinstance(s, ast.Break):
                        out.append(assign(self.broken, const(True), s))
                    out.append(assign(self.skip, const(True), s))
                return out
            kinds = exit_kinds([s])
            if isinstance(s, ast.If) and kinds:
                s.body = self.guard(s.body) or [ast.Pass()]
                s.orelse = self.guard(s.orelse)
                out.append(s)
                rest = self.guard(stmts[i + 1 :])
                if "return" in kinds and rest and self.done:
                    rest = [if_(negate(load(self.done)), rest, [], s)]
                    rest[0].alone = "body"  # type: ignore[attr-defined]
                if (kinds - {"return"} or not self.done) and rest:
                    rest = [if_(negate(load(self.skip)), rest, [], s)]
                return out + rest
            out.append(s)
        return out


def counting_loop(
    s: ast.For, names: Names
) -> tuple[list[ast.stmt], ast.expr, list[ast.stmt], list[ast.stmt]]:
    """A ``range`` loop as (statements before, test, head of the body, step)."""
    start, stop, step = range_bounds(s)
    i, end = names.fresh("i"), names.fresh("end")
    init: list[ast.stmt] = [assign(i, start, s), assign(end, stop, s)]
    known = literal(step)
    less = ast.Compare(load(i), [ast.Lt()], [load(end)])
    more = ast.Compare(load(i), [ast.Gt()], [load(end)])
    if known is None:
        by = names.fresh("step")
        init.append(assign(by, step, s))
        up = ast.Compare(load(by), [ast.Gt()], [const(0)])
        down = ast.Compare(load(by), [ast.Lt()], [const(0)])
        test: ast.expr = ast.BoolOp(
            ast.Or(), [ast.BoolOp(ast.And(), [up, less]), ast.BoolOp(ast.And(), [down, more])]
        )
        step = load(by)
    else:
        test = less if known > 0 else more  # type: ignore[operator]
    locate(test, s)
    head: list[ast.stmt] = [assign(s.target.id, load(i), s)]  # type: ignore[attr-defined]
    return init, test, head, [assign(i, ast.BinOp(load(i), ast.Add(), step), s)]
