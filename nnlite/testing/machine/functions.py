"""Functions in PTX that a kernel calls: put where they are called, so that a program has none.

NVVM leaves few of them: the power of float64, for one.
"""

from __future__ import annotations

import re

_FUNCTION = re.compile(
    r"(?:\.(?:visible|weak)\s+)?\.func\s*(?:\(([^)]*)\)\s*)?([\w$]+)\s*(?:\(([^)]*)\)\s*)?([;{])"
)
_CALL = re.compile(
    r"(@!?%\w+\s+)?\bcall(?:\.uni)?\s+"
    r"(?:\(\s*([\w$]+)\s*\)\s*,\s*)?([\w$]+)\s*(?:,\s*\(([^)]*)\)\s*)?;"
)
_RANGE = re.compile(r"\.reg\s+\.\w+\s+%([A-Za-z]+)<")
_LABEL = re.compile(r"\$L\w+")
_LOCAL = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.\w+\s+([\w$]+)(?:\[\d+\])?\s*;")
_RETURN = re.compile(r"\bret(?:\.uni)?\s*;")
MOST_CALLS = 200


def inlined(text: str) -> str:
    """The PTX, without comments, of a kernel whose calls are the bodies of what they call.

    Each body has registers, labels and parameters of calls of its own; a return jumps behind it.
    What it is given has the names of the call: ``st.param`` and ``ld.param`` keep values by these.

    Raises:
        NotImplementedError: a call of a function that is not in the text, that calls itself, or
            that a predicate guards.
    """
    bodies: dict[str, tuple[list[str], str]] = {}
    while found := _FUNCTION.search(text):
        end = found.end() if found[4] == ";" else _closing(text, found.end())
        if found[4] == "{":
            formal = _names(found[1]) + _names(found[3])
            bodies[found[2]] = formal, text[found.end() : end - 1]
        text = text[: found.start()] + text[end:]
    for number in range(MOST_CALLS):
        call = _CALL.search(text)
        if call is None:
            return text
        guard, result, name, arguments = call.groups()
        if guard or name not in bodies:
            raise NotImplementedError(f"`{' '.join(call[0].split())}`")
        formal, body = bodies[name]
        body = _own(body, number)
        actual = [*_names(result), *_names(arguments)]
        body = _renamed(body, dict(zip(formal, actual, strict=True)))
        text = f"{text[: call.start()]}{{{body}}}{text[call.end() :]}"
    raise NotImplementedError(f"more than {MOST_CALLS} calls, or a function that calls itself")


def _closing(text: str, start: int) -> int:
    """Where the block ends whose opening brace is before ``start``."""
    depth, at = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at


def _names(declared: str | None) -> list[str]:
    """Names in ``.param .b64 a, .param .b32 b[2]`` or in ``a, b``."""
    parts = (part.split() for part in (declared or "").split(","))
    return [words[-1].partition("[")[0] for words in parts if words]


def _own(body: str, number: int) -> str:
    """A function's body with registers, labels and parameters of calls that no other has."""
    ranges = sorted(set(_RANGE.findall(body)))
    if ranges:
        body = re.sub(rf"%({'|'.join(ranges)})(?=\d|<)", rf"%call{number}_\1", body)
    body = _renamed(body, {name: f"{name}_call{number}" for name in _LOCAL.findall(body)})
    body = _LABEL.sub(rf"\g<0>_call{number}", body)
    behind = f"$Lbehind_call{number}"
    return f"{_RETURN.sub(f'bra {behind};', body)} {behind}:"


def _renamed(body: str, names: dict[str, str]) -> str:
    """The text with other names, all at once: a new one may be the old one of another."""
    if not names:
        return body
    some = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w$])({some})(?![\w$])", lambda found: names[found[0]], body)
