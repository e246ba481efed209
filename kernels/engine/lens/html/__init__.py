"""The report of the lens as one HTML file that needs nothing else, neither network nor fonts.

1. ``sources`` finds the text of the functions that a launch ran;
2. ``data`` puts reports and profiles into plain data;
3. ``page`` embeds the data with ``report.css`` and the scripts (``core.js`` and the views after
   it) in one document.

The scripts draw from the embedded data alone, and put every text into the page as text.
"""

from __future__ import annotations

from .data import Launch
from .page import page, write

__all__ = ["Launch", "page", "write"]
