"""Runs a script as ``python SCRIPT`` does: its folder on the path, ``__main__`` its module."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path


def run_script(name: str) -> None:
    """Run the file; exceptions and ``SystemExit`` pass through to the interpreter.

    The script becomes the module ``__main__``, with its file and no spec: multiprocessing and
    pickle find its functions there.
    """
    path = Path(name)
    if path.is_dir():
        path = path / "__main__.py"
    try:
        source = path.read_bytes()
    except OSError as error:
        print(f"nnlite.cudasim: can't open file {name!r}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    code = compile(source, str(path), "exec")
    main = types.ModuleType("__main__")
    main.__file__ = str(path)
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.path[0] = os.path.realpath(path.parent)
    exec(code, vars(main))
