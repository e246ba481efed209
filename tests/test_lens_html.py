"""The HTML report: what is embedded equals the figures, nothing escapes, nothing is fetched."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from numba import cuda, float32

import nnlite as nl
from nnlite.errors import ArgumentError
from nnlite.kernels.engine.lens.html import Launch, page
from nnlite.kernels.engine.lens.html.data import as_data
from nnlite.kernels.engine.lens.html.page import embedded
from nnlite.testing.command import command, succeed

SIZE, TILE = 64, 16


@nl.kernel
def product(a, b, c):
    sa = cuda.shared.array((TILE, TILE), float32)
    sb = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = cuda.blockIdx.y * TILE + ty, cuda.blockIdx.x * TILE + tx
    total = float32(0)
    for k in range(0, a.shape[1], TILE):
        sa[ty, tx] = a[row, k + tx]  # A
        sb[ty, tx] = b[column, k + ty]  # B
        cuda.syncthreads()  # FIRST
        for q in range(TILE):
            total += sa[ty, q] * sb[q, tx]
        cuda.syncthreads()  # SECOND
    c[row, column] = total


NASTY = "\"</script><script>alert(1)</script> <!-- & '"


@nl.kernel
def nasty(x, out):
    """ "</script><script>alert(1)</script> <!-- & '"""
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]  # WRITE
    if t < 40:
        cuda.syncthreads()  # DIVERGENT
    out[t] = tile[63 - t]  # READ


def line_of(kernel, mark):
    code = kernel.py_func.__code__
    with open(code.co_filename, encoding="utf-8") as file:
        lines = file.read().split("\n")
    found = [i for i, x in enumerate(lines, 1) if x.endswith(f"# {mark}")]
    return next(i for i in found if i >= code.co_firstlineno)


class Parsed(HTMLParser):
    """Elements with attributes, and the text of each element that has only text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.last = [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.last = dict(attrs).get("id") or tag

    def handle_data(self, data):
        self.texts[self.last] = self.texts.get(self.last, "") + data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def profiled():
    a, b = np.random.default_rng(0).random((2, SIZE, SIZE), dtype=np.float32)
    blocks = SIZE // TILE
    args = a, b, np.zeros_like(a)
    return nl.profile(product, (blocks, blocks), (TILE, TILE), args)


@pytest.fixture(scope="module")
def checked():
    x = np.arange(64, dtype=np.float32)
    return nl.check(nasty, 1, 64, (x, np.zeros_like(x)))


def test_the_embedded_data_equals_the_figures(profiled):
    parsed = Parsed(profiled.to_html("A100"))
    data = json.loads(parsed.texts["data"])
    (launch,) = data["launches"]
    shown, known = launch["profile"], json.loads(profiled.to_json())
    for name in ("flops", "bytes_moved", "bytes_touched", "intensity", "intensity_without_caches"):
        assert shown[name] == known[name]
    assert len(shown["lines"]) == len(profiled.lines) == 7
    for line, figures in zip(shown["lines"], known["lines"]):
        assert figures == {name: line.get(name) for name in figures} | {"file": figures["file"]}
        assert data["files"][line["file"]]["name"] == "test_lens_html.py"
    assert (data["gpu"], data["gpus"]["A100"]["bandwidth"]) == ("A100", 2039e9)
    assert (launch["grid"], launch["block"]) == ([4, 4, 1], [16, 16, 1])


def test_the_source_is_there_with_its_line_numbers(profiled):
    data = as_data([Launch(profile=profiled)], "H200")
    (part,) = data["files"][0]["parts"]
    at = line_of(product, "A") - part["first"]
    assert part["lines"][at].strip() == "sa[ty, tx] = a[row, k + tx]  # A"
    assert part["lines"][0] == "@nl.kernel"
    assert part["lines"][-1].strip() == "c[row, column] = total"


def test_samples_name_lanes_addresses_and_elements(profiled):
    line = profiled.of(line_of(product, "B"), "load", "b")
    first = line.first
    assert first == line.worst
    assert (first.warp, first.block, first.size) == (0, 0, 4)
    assert first.lanes == tuple(range(32))
    # Lane k is thread (k % 16, k // 16), which reads b[k % 16, k // 16]: a row is 256 bytes.
    assert first.indices == tuple((k % 16, k // 16) for k in range(32))
    begin = first.addresses[0]
    assert begin % 256 == 0
    assert first.addresses == tuple(begin + k % 16 * 256 + k // 16 * 4 for k in range(32))
    assert (first.sectors, first.ideal_sectors) == (16, 4)
    store = profiled.of(line_of(product, "B"), "store", "sb").first
    assert store.addresses[0] == 4 * TILE * TILE  # sb lies behind sa
    assert store.indices[17] == (1, 1)
    assert (store.wavefronts, store.ideal_wavefronts) == (1, 1)


@nl.kernel
def gather(x, index, out):
    i = cuda.grid(1)
    if i % 32 < 20:
        out[i] = x[index[i]]  # GATHER


def test_the_worst_request_is_kept():
    index = np.arange(96, dtype=np.int32)
    index[32:64] *= 8  # the second warp takes a sector for each lane
    x = np.zeros(1024, np.float32)
    line = nl.profile(gather, 1, 96, (x, index, np.zeros(96, np.float32))).of(
        line_of(gather, "GATHER"), "load", "x"
    )
    assert (line.first.warp, line.first.sectors, line.first.ideal_sectors) == (0, 3, 3)
    assert (line.worst.warp, line.worst.sectors, line.worst.ideal_sectors) == (1, 20, 3)
    assert line.worst.lanes == tuple(range(20))
    assert line.worst.indices[3] == (8 * 35,)


def test_barriers_of_the_first_block_in_order(profiled):
    assert len(profiled.meetings) == 2 * SIZE // TILE
    marks = [line_of(product, "FIRST"), line_of(product, "SECOND")]
    for k, meeting in enumerate(profiled.meetings):
        (arrival,) = meeting.arrivals
        assert (meeting.kind, meeting.divergent) == ("barrier", False)
        assert (arrival.line, arrival.threads) == (marks[k % 2], ((0, TILE * TILE - 1),))


def test_a_divergent_barrier_names_both_sides(checked):
    (meeting,) = checked.meetings
    here, away = meeting.arrivals
    assert meeting.divergent
    assert (here.what, here.line) == ("syncthreads", line_of(nasty, "DIVERGENT"))
    assert (here.threads, away.threads) == (((0, 39),), ((40, 63),))
    assert (away.what, away.line) == ("returned", 0)


def test_findings_are_embedded_with_both_threads(checked):
    data = json.loads(Parsed(checked.to_html()).texts["data"])
    (launch,) = data["launches"]
    assert launch["profile"] is None
    assert [f["kind"] for f in launch["findings"]] == [f.kind for f in checked.findings]
    race = next(f for f in launch["findings"] if f["kind"].startswith("race"))
    known = next(f for f in checked.findings if f.kind.startswith("race"))
    for side, access in (("access", known.access), ("other", known.other)):
        assert race[side]["line"] == access.line
        assert race[side]["thread"] == list(access.thread)
        assert race[side]["block"] == list(access.block)
    assert race["shape"] == [64]


def test_no_text_of_a_kernel_becomes_markup(checked):
    text = checked.to_html()
    parsed = Parsed(text)
    (part,) = json.loads(parsed.texts["data"])["files"][0]["parts"]
    assert part["lines"][2].strip() == f'""" {NASTY}"""'
    assert len(parsed.all("script")) == 2
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<!-- &" not in text
    assert json.loads(embedded(["</script>\u2028&"])) == ["</script>\u2028&"]
    assert not set("<>&\u2028") & set(embedded(["</script>\u2028&"]))


def test_the_page_asks_for_nothing(profiled):
    text = profiled.to_html()
    parsed = Parsed(text)
    for tag, attrs in parsed.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            assert attrs.get(name, "data:,") == "data:,", (tag, attrs)
    for word in ("url(", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "eval(", "https:"):
        assert word not in text, word
    (policy,) = [a["content"] for a in parsed.all("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[-1]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_page_is_small_and_says_its_figures_without_scripts(profiled):
    text = profiled.to_html()
    assert len(text.encode()) < 150_000
    assert str(profiled).splitlines()[0] in Parsed(text).texts["pre"]


def test_wrong_arguments_are_refused(profiled):
    with pytest.raises(ArgumentError, match="gpu: 'G80' given, expected one of T4"):
        profiled.to_html("G80")
    with pytest.raises(ArgumentError, match="launches: none given"):
        page([])


FILE = """
import numpy as np
from numba import cuda
import nnlite as nl


@nl.kernel
def shift(x):
    i = cuda.grid(1)
    x[i] = x[(i + 1) % 64]


def inputs():
    return 1, 64, (np.zeros(64, np.float32),)
"""


def test_the_commands_write_a_report(tmp_path):
    source, out = tmp_path / "shift.py", tmp_path / "report.html"
    source.write_text(FILE, encoding="utf-8")
    assert f"wrote {out}" in succeed("profile", f"{source}:shift", "--gpu", "T4", "--html", out)
    data = json.loads(Parsed(out.read_text(encoding="utf-8")).texts["data"])
    assert (data["gpu"], data["launches"][0]["checked"]) == ("T4", False)
    result = command("check", f"{source}:shift", "--json", "--html", out)
    assert result.exit_code == 1
    (report,) = json.loads(result.stdout)
    (launch,) = json.loads(Parsed(out.read_text(encoding="utf-8")).texts["data"])["launches"]
    assert [f["kind"] for f in launch["findings"]] == [f["kind"] for f in report["findings"]]
    assert launch["profile"]["bytes_moved"] == 32 * (5 + 5 + 4 + 4)  # loads begin 4 bytes late
