"""``python -m nnlite.cudasim SCRIPT [args]``: see ``nnlite.cudasim``."""

from __future__ import annotations

import runpy
import sys

from . import enable

USAGE = """usage: python -m nnlite.cudasim SCRIPT [arguments]
       python -m nnlite.cudasim -m MODULE [arguments]

Runs a Numba CUDA program without a GPU, its kernels compiled for the CPU."""


def main() -> None:
    """Run the program named on the command line as Python would have run it."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return
    as_module = arguments[:1] == ["-m"]
    if as_module:
        del arguments[0]
    if not arguments or arguments[0].startswith("-"):
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    enable()
    sys.argv[:] = arguments
    if as_module:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        from .script import run_script

        run_script(arguments[0])


if __name__ == "__main__":
    main()
