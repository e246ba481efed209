"""The command ``nnlite``: train, evaluate and use a model without writing code."""

from __future__ import annotations


def main() -> None:
    """Entry point of the command ``nnlite``."""
    from .app import app

    app(prog_name="nnlite")
