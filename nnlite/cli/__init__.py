"""The command ``nnlite``: train, evaluate and use a model without writing code."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the command ``nnlite``."""
    try:
        from .app import app

        app(prog_name="nnlite")
    except KeyboardInterrupt:  # while the modules were loading
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
