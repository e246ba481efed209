"""The lens: see what is wrong with a kernel without a GPU.

``check`` runs a launch one thread at a time with every access watched, and reports races, indices
out of bounds, reads of uninitialised memory, divergent barriers and waits that cannot end. How:

1. ``instrument`` rewrites the kernel, after ``engine.cpu`` has given every name one meaning and
   inlined its device functions: subscripts become calls (``access``), barriers and warp operations
   become ``yield`` (``exchange``);
2. ``program`` compiles it, as a generator for one thread;
3. ``schedule`` runs the threads and lets them meet (``meetings``);
4. ``shadow`` knows for each element who touched it last, and what orders two accesses;
5. ``explain`` writes the ``report``, with the elements named by ``memory``;
6. ``timeline`` notes who meets at which barrier, and ``html`` makes a page to look at.

``state`` is the memory that all of them share.
"""

from __future__ import annotations

from .checking import Checker, check, checking
from .report import Access, Finding, Report

__all__ = ["Access", "Checker", "Finding", "Report", "check", "checking"]
