"""A headless Chromium driven by its own protocol over a pipe, with nothing else to install.

Chrome DevTools Protocol with ``--remote-debugging-pipe``: commands go to file descriptor 3, answers
and events come from 4, each a JSON text that ends with a zero byte
(https://chromedevtools.github.io/devtools-protocol/).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60.0  # to wait for an answer; a machine may be busy
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def find_browser() -> str | None:
    """Path of a Chromium; None if there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a headless Chromium that has no network.

    Attributes:
        problems: what the page wrote to its console as an error, exceptions it did not catch,
            requests that were refused.

    Example:
        >>> with Browser(1440, 900) as page:
        ...     page.open(Path("report.html"))
        ...     page.click("#code tr.known")
    """

    def __init__(self, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        self.size, self.dark = (width, height), dark
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._number, self._session, self._rest = 0, "", b""

    def __enter__(self) -> Browser:
        path = find_browser()
        assert path is not None, "no Chromium is installed"
        self._folder = tempfile.mkdtemp(prefix="nnlite-browser-")
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        self._out, self._in = down_write, up_read
        command = [path, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = start(command, down_read, up_write)
        os.close(down_read)
        os.close(up_write)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )
        width, height = self.size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- what a test does --------------------------------------------------------------------------
    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until its scripts have run."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        end = time.monotonic() + SECONDS
        while self.evaluate("location.protocol + document.readyState") != "file:complete":
            assert time.monotonic() < end, f"{path} was not loaded in {SECONDS:g} s"
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first element that the selector names."""
        at = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            place = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **place)

    def press(self, key: str) -> None:
        """Press a key that has a name, such as ``ArrowDown``."""
        codes = {"ArrowDown": 40, "ArrowUp": 38, "Enter": 13, "Tab": 9}
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key]
            )

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write a picture (PNG) of the window, or of the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    # -- the protocol ------------------------------------------------------------------------------
    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events before it are looked at."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self._event(answer)

    def _receive(self, method: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], SECONDS)
            more = os.read(self._in, 1 << 16) if ready else b""
            assert more, f"{method}: Chromium gave no answer"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(text))

    def _event(self, event: dict[str, Any]) -> None:
        method, params = event.get("method", ""), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


def start(command: Sequence[str], reads: int, writes: int) -> subprocess.Popen[bytes]:
    """Start a process whose file descriptors 3 and 4 are these."""
    # Both are moved out of the way first: one of them may be 3 or 4 itself.
    shell = f'exec 8<&{reads} 9>&{writes} 3<&8 4>&9 8<&- 9>&-; exec "$@"'
    return subprocess.Popen(
        ["bash", "-c", shell, "bash", *command],
        pass_fds=(reads, writes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
