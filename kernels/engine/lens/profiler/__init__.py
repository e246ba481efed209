"""The profiler: what the warps of a launch would ask of a GPU's memory, line by line.

1. ``instrument`` adds to the checker's pass where in its loops a thread stands;
2. ``recorder`` collects the addresses that the lanes of a warp ask for together;
3. ``requests`` counts their sectors, wavefronts and lanes, and keeps ``samples`` to look at;
4. ``figures`` says it, ``profiling`` is the function to call.
"""

from __future__ import annotations

from .figures import Line, Profile
from .profiling import profile, profiling

__all__ = ["Line", "Profile", "profile", "profiling"]
