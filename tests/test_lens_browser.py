"""The HTML report in a headless Chromium without a network: it draws, and nothing goes wrong."""

import numpy as np
import pytest
from numba import cuda, float32

import nnlite as nl
from nnlite.kernels.engine.lens.html import Launch, write
from nnlite.testing.browser import NAMES, Browser, find_browser

pytestmark = pytest.mark.skipif(
    find_browser() is None, reason=f"no Chromium is installed: none of {', '.join(NAMES)}"
)
TILE = 32


@nl.kernel
def transpose(x, out):
    tile = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    for i in range(ty, TILE, 8):
        tile[i, tx] = x[i, tx]  # IN
    cuda.syncthreads()
    for i in range(ty, TILE, 8):
        out[i, tx] = tile[tx, i]  # OUT


@nl.kernel
def reverse(x, out):
    """Reverse; </script><script>document.title = 'wrong'</script>"""
    tile = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]  # WRITE
    out[t] = tile[127 - t]  # READ


@nl.kernel
def gather(x, index, out):
    i = cuda.grid(1)
    out[i] = x[index[i]]  # GATHER


def line_of(kernel, mark):
    code = kernel.py_func.__code__
    with open(code.co_filename, encoding="utf-8") as file:
        lines = file.read().split("\n")
    found = [i for i, x in enumerate(lines, 1) if x.endswith(f"# {mark}")]
    return next(i for i in found if i >= code.co_firstlineno)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A transpose with bank conflicts, a reversal without its barrier, and a gather."""
    path = tmp_path_factory.mktemp("html") / "report.html"
    x = np.random.default_rng(0).random((TILE, TILE), dtype=np.float32)
    first = Launch(profile=nl.profile(transpose, 1, (32, 8), (x, np.zeros_like(x))))
    y = np.arange(128, dtype=np.float32)
    second = Launch(report=nl.check(reverse, 1, 128, (y, np.zeros_like(y))))
    index = np.arange(64, dtype=np.int32)
    index[32:] *= 8  # the second warp takes a sector for each lane
    z = np.zeros(512, np.float32), index, np.zeros(64, np.float32)
    write(path, [first, second, Launch(profile=nl.profile(gather, 1, 64, z))], "A100")
    return path


def texts(page, selector):
    return page.evaluate(f"[...document.querySelectorAll('{selector}')].map(e => e.textContent)")


def size_of(path):
    """Width and height of a PNG, and how many bytes."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), len(data)


@pytest.mark.parametrize("dark", [False, True])
def test_a_profile_is_drawn(report, tmp_path, dark):
    with Browser(1440, 900, dark) as page:
        page.open(report)
        assert texts(page, "h1") == ["transpose"]
        # The line with the bank conflicts is chosen: 32 words in bank 0 of the tile.
        out = line_of(transpose, "OUT")
        assert texts(page, "#detail h2") == [f"test_lens_browser.py:{out}"]
        assert texts(page, "#detail .conflict + text") == ["32"]
        assert "31 more by bank conflicts" in texts(page, "#detail figcaption")[0]
        # A click on another line shows what it touches, and says so in the address.
        into = line_of(transpose, "IN")
        page.click(f'#code tr[data-line="{into}"]')
        assert texts(page, "#detail h4") == ["load xglobal", "store tileshared"]
        assert "4 sectors = 128 bytes" in texts(page, "#detail figcaption")[0]
        assert f"line={into}" in page.evaluate("location.hash")
        assert page.evaluate("document.querySelectorAll('#detail svg .lane').length") == 4 * 32
        page.press("ArrowDown")  # to the barrier, which has no access
        assert "syncthreads: 1 time in the first block" in texts(page, "#detail .card")[0]
        picture = tmp_path / "profile.png"
        page.screenshot(picture)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
        assert page.problems == []
        assert [r for r in page.requests if not r.startswith(("file:", "data:", "about:"))] == []
    width, height, length = size_of(picture)
    assert (width, height) == (1440, 900)
    assert length > 20_000  # a blank page has a few thousand bytes


def test_a_race_is_drawn(report, tmp_path):
    with Browser(1000, 800) as page:
        page.open(report, f"#launch=1&line={line_of(reverse, 'READ')}")
        assert texts(page, "h1") == ["reverse"]
        assert page.evaluate("document.title") == "transpose, reverse, gather"
        assert "race in a block" in texts(page, "#findings td")
        # Thread 64 writes what thread 63 reads: lane 0 of warp 2, lane 31 of warp 1.
        assert sorted(texts(page, "#detail svg .on")) == ["A", "B"]
        assert texts(page, "#detail svg .strong") == ["64"]
        page.click("#findings button")
        assert page.evaluate("document.querySelectorAll('tr[aria-selected=true]').length") == 1
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1000
        page.screenshot(tmp_path / "race.png", whole=True)
        assert page.problems == []
    assert size_of(tmp_path / "race.png")[2] > 20_000


def test_the_first_request_and_the_worst(report):
    with Browser(1440, 900) as page:
        page.open(report, "#launch=2&metric=excess")
        assert texts(page, "#detail h2") == [f"test_lens_browser.py:{line_of(gather, 'GATHER')}"]
        assert texts(page, "#detail h4")[1] == "load xglobal"
        second = "#detail article:nth-of-type(2)"
        assert texts(page, f"{second} [aria-pressed=true]") == ["Worst"]
        assert "32 sectors = 1,024 bytes" in texts(page, f"{second} figcaption")[0]
        page.click(f"{second} .choice")
        assert texts(page, f"{second} [aria-pressed=true]") == ["First"]
        assert "4 sectors = 128 bytes" in texts(page, f"{second} figcaption")[0]
        page.click("[data-metric=sectors]")
        assert texts(page, "#heat-head") == ["Sectors"]
        assert page.problems == []
