"""One HTML document with everything in it.

What is embedded cannot end the script element that it stands in, and a content security policy
allows the report's own script and style by their hashes and nothing else, no request either.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...device import GPUS
from ...errors import ArgumentError
from .data import Launch, as_data

HERE = Path(__file__).parent
SCRIPTS = (
    "core", "lanes", "access", "finding", "metrics", "python", "source", "timeline", "roofline",
    "main",
)  # fmt: skip
DEFAULT_GPU = "H200"
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}

DOCUMENT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src '{style_hash}'; script-src '{script_hash}'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript>
<p>The pictures of this report need JavaScript. Its figures as text:</p>
<pre>{text}</pre>
</noscript>
<div id="report"></div>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(launches: Sequence[Launch], gpu: str = DEFAULT_GPU) -> str:
    """The document for some launches.

    Args:
        launches: at least one.
        gpu: key of :data:`GPUS` of the roofline that is shown first.

    Raises:
        ArgumentError: there is no launch, or no such GPU.
    """
    if not launches:
        raise ArgumentError("html: launches: none given, expected at least one")
    if gpu not in GPUS:
        raise ArgumentError(f"html: gpu: {gpu!r} given, expected one of {', '.join(GPUS)}")
    style = (HERE / "report.css").read_text(encoding="utf-8")
    parts = [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = "\n(() => {\n'use strict';\n" + "".join(parts) + "})();\n"
    said = [str(x) for launch in launches for x in (launch.report, launch.profile) if x is not None]
    return DOCUMENT.format(
        style_hash=source_hash(style),
        script_hash=source_hash(script),
        title=html.escape(", ".join(dict.fromkeys(x.kernel for x in launches))),
        style=style,
        text=html.escape("\n\n".join(said)),
        data=embedded(as_data(launches, gpu)),
        script=script,
    )


def write(path: str | Path, launches: Sequence[Launch], gpu: str = DEFAULT_GPU) -> None:
    """Write the document to a file."""
    Path(path).write_text(page(launches, gpu), encoding="utf-8")


def embedded(data: Any) -> str:
    """JSON that means nothing to an HTML parser."""
    text = json.dumps(data, separators=(",", ":"))
    return "".join(ESCAPES.get(c, c) for c in text)


def source_hash(text: str) -> str:
    """How a content security policy names an inline script or style (CSP level 2)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
