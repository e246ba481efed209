"""``bench.lens_vs_ncu``: reading what Nsight Compute prints, and what is said without a GPU.

The samples are written by hand, with the columns that the documentation of ncu and its output in
public repositories have; no figure in them was measured.
"""

import json
import sys

import pytest

import nnlite as nl
from bench import lens_vs_ncu, ncu
from bench.lens_cases import CASES

HEADS = ("ID", "Process ID", "Process Name", "Host Name", "Kernel Name", "Context", "Stream")
KERNEL = "_ZN6cudapy5bench10lens_cases9lens_copyE"


def quoted(cells):
    return ",".join(f'"{c}"' for c in cells)


RAW = "\n".join(
    [
        "==PROF== Connected to process 7",
        quoted([*HEADS, *ncu.METRICS, "another.sum"]),
        quoted([*("" for _ in HEADS), *("request" for _ in ncu.METRICS), "%"]),
        quoted(["0", "7", "python", "host", KERNEL, "1", "7"]
               + ["512", "128", "2,048", "512", "16", "8", "1,024.0", "8", "3.5"]),
        quoted(["1", "7", "python", "host", KERNEL, "1", "7", *("9" for _ in range(9))]),
    ]
)  # fmt: skip

COLUMNS = ("Address", "Source", "# Samples", *ncu.COLUMNS, "Access Size")
SASS = (
    ("0x7f00", "LDG.E R2, desc[UR4][R2.64]", "3", "512", "16,384", "Global", "Load", "2,048",
     "0", "0", "32"),
    ("0x7f10", "@P0 LDG.E R4, desc[UR4][R2.64]", "0", "512", "8192", "Global", "Load", "1024",
     "0", "0", "32"),
    ("0x7f20", "STS [R5], R2", "1", "16", "512", "Shared", "Store", "", "512", "16", "32"),
    ("0x7f30", "BAR.SYNC.DEFER_BLOCKING 0x0", "", "16", "512", "-", "-", "-", "n/a", "", "-"),
)  # fmt: skip
SOURCE = "\n".join(
    [
        "==PROF== Disconnected",
        quoted(["Kernel Name", KERNEL]),
        quoted(COLUMNS),
        *(quoted(row) for row in SASS),
        quoted(["Kernel Name", KERNEL]),
        quoted(COLUMNS),
        *(quoted(row) for row in SASS),
    ]
)


def test_the_raw_page_of_the_first_launch():
    found = ncu.raw_page(RAW)
    assert found["l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum"] == 512
    assert found["l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"] == 2048
    assert found["l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum"] == 1024
    assert len(found) == len(ncu.METRICS) == 8


def test_the_source_page_sums_instructions_of_one_launch():
    found = ncu.source_page(SOURCE)
    assert found["global", "load"] == ncu.Counted(1024, 16384 + 8192, 2048 + 1024, 0, 0)
    assert found["shared", "store"] == ncu.Counted(16, 512, 0, 512, 16)
    assert found["-", "-"].executed == 16
    spaced = ncu.source_page(SOURCE.replace('"Global"', '"Global(2)"'))
    assert spaced["global", "load"] == found["global", "load"]


def test_a_page_without_what_is_needed_is_refused():
    with pytest.raises(ValueError, match="no launch on the raw page"):
        ncu.raw_page("==ERROR== ERR_NVGPUCTRPERM\n")
    with pytest.raises(ValueError, match=r"lacks l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"):
        ncu.raw_page(RAW.replace("l1tex__t_sectors_pipe_lsu_mem_global_op_ld", "renamed"))
    with pytest.raises(ValueError, match="lacks L1 Wavefronts Shared Ideal"):
        ncu.source_page(SOURCE.replace("L1 Wavefronts Shared Ideal", "renamed"))
    with pytest.raises(ValueError, match="no instruction on the source page"):
        ncu.source_page(quoted(COLUMNS))


def test_figures_of_both_pages():
    found = lens_vs_ncu.gpu_figures(ncu.raw_page(RAW), ncu.source_page(SOURCE))
    assert found["global load", "sectors / request"] == 4
    assert found["global store", "sectors / request"] == 4
    assert found["global load", "lanes / request"] == 24
    assert found["shared store", "wavefronts / request"] == 32
    assert found["shared store", "lanes / request"] == 32


@pytest.mark.parametrize(
    ("lens", "gpu", "agrees"),
    [
        (4, 4, True),
        (4.19, 4, True),
        (4.21, 4, False),
        (0, 0, True),
        (1, 0, False),
        (4, None, False),
    ],
)
def test_within_five_percent_is_agreement(lens, gpu, agrees):
    assert (
        lens_vs_ncu.Figure("copy", "global load", "sectors / request", lens, gpu).agrees is agrees
    )


def test_the_clocks_stay_as_they_are_and_only_the_case_is_watched(tmp_path):
    command = ncu.profile_command(tmp_path / "x.ncu-rep", lens_vs_ncu.child(3))
    assert command[command.index("--clock-control") + 1] == "none"
    assert command[command.index("--kernel-name") + 1] == "regex:lens_"
    assert command[-4:] == ["-m", "bench.lens_vs_ncu", "--run", "3"]
    assert all(case.kernel.__name__.startswith("lens_") for case in CASES)
    assert len({case.name for case in CASES}) == len(CASES) >= 12


def test_without_a_gpu_it_says_what_it_would_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lens_vs_ncu, "what_lacks", lambda: "there is no GPU")
    lens_vs_ncu.main("misaligned", tmp_path / "found.json", -1)
    said = capsys.readouterr().out
    assert "Not compared: there is no GPU" in said
    assert "ncu --clock-control none" in said
    assert "--page source --csv --print-source sass" in said
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["gpu"], found["not_compared"]) == (None, "there is no GPU")
    loads = [f for f in found["figures"] if f["access"] == "global load"]
    assert [(f["name"], f["lens"], f["gpu"]) for f in loads] == [
        ("sectors / request", 5, None),
        ("lanes / request", 32, None),
    ]


def test_with_a_gpu_the_differences_are_shown(monkeypatch, capsys):
    counted = {
        ("global load", "sectors / request"): 5.0,
        ("global load", "lanes / request"): 32.0,
        ("global store", "sectors / request"): 8.0,
    }
    monkeypatch.setattr(lens_vs_ncu, "what_lacks", lambda: None)
    monkeypatch.setattr(lens_vs_ncu, "measure", lambda number, folder: counted)
    lens_vs_ncu.main("misaligned", None, -1)
    said = capsys.readouterr().out
    assert "50.0%" in said
    assert "2 of 3 figures within 5%" in said
    assert "1 figures that ncu did not give" in said


def test_a_case_that_ncu_cannot_watch_costs_its_own_figures_alone(tmp_path, monkeypatch, capsys):
    def fails(number, folder):
        lens_vs_ncu.output([sys.executable, "-c", "raise SystemExit('no counters')"])

    monkeypatch.setattr(lens_vs_ncu, "what_lacks", lambda: None)
    monkeypatch.setattr(lens_vs_ncu.nl, "device", lambda name: nl.devices()[0])
    monkeypatch.setattr(lens_vs_ncu, "measure", fails)
    path = tmp_path / "found.json"
    lens_vs_ncu.main("misaligned", path, -1)
    assert "no counters" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert "exit code 1" in found["failed"]["copy, misaligned"]
    assert [f["gpu"] for f in found["figures"]] == [None] * 4
