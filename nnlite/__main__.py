"""``python -m nnlite``: the same as the command ``nnlite``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
