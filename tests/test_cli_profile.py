"""``nnlite profile`` and ``nl.profiling``: tables, JSON, targets and what they refuse."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import nnlite as nl
from nnlite.cli.profile import profiles_of, show
from nnlite.kernels.engine.device import GPUS
from nnlite.testing.command import fail, succeed

KERNEL = """
import numpy as np
from numba import cuda, float32
import nnlite as nl


@nl.kernel
def transpose(x, out):
    tile = cuda.shared.array((32, {pitch}), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tile[ty, tx] = x[ty, tx]
    cuda.syncthreads()
    out[ty, tx] = tile[tx, ty] * float32(2)


def inputs():
    x = np.ones((32, 32), np.float32)
    return 1, (32, 32), (x, np.zeros_like(x))
"""


def kernel_file(folder, pitch=32):
    path = folder / f"transpose{pitch}.py"
    path.write_text(KERNEL.format(pitch=pitch), encoding="utf-8")
    return f"{path}:transpose"


def test_a_kernel_of_a_file(tmp_path):
    output = succeed("profile", kernel_file(tmp_path), "--gpu", "A100")
    assert "transpose, grid (1, 1, 1), block (32, 32, 1)" in output
    row = next(x for x in output.splitlines() if "load tile" in x).split()
    assert row[-4:] == ["32", "32", "32", "1"]  # requests, lanes, wavefronts, ideal
    assert "out[ty, tx] = tile[tx" in output
    assert "1,024 FLOP, 8,192 bytes" in output
    assert "NVIDIA A100 80GB SXM, each byte moved once: 0.125 FLOP per byte" in output
    assert "at most 0.255 TFLOP/s" in output


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_figure_is_cut_in_a_narrow_terminal(tmp_path, width):
    (profile,) = profiles_of(kernel_file(tmp_path))
    text = io.StringIO()
    show(profile, GPUS["H200"], Console(width=width, file=text))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    heading = next(x for x in lines if "access" in x)
    assert heading.rstrip().endswith("requests  lanes  sectors  ideal  used  waves  ideal")
    row = next(x for x in lines if "store tile" in x)
    assert row.split()[-4:] == ["32", "32", "1", "1"]
    first = next(x for x in lines if "load x" in x)
    assert ("tile[ty, tx] = x[ty, tx]" in first) == (width == 120)
    assert first.split()[0] == ("transpose32.py:11" if width == 120 else "11")


def test_json_of_a_padded_tile(tmp_path):
    (found,) = json.loads(succeed("profile", kernel_file(tmp_path, 33), "--json"))
    loads = {x["array"]: x for x in found["lines"] if x["what"] == "load"}
    assert loads["tile"]["wavefronts"] == loads["tile"]["ideal_wavefronts"] == 32
    assert loads["x"]["sectors"] == 128
    assert found["intensity"] == 0.125


def test_an_op_by_name():
    output = succeed("profile", "relu")
    assert "load x" in output
    assert "FLOP" in output


def test_wrong_targets_are_refused_in_one_line(tmp_path):
    assert "expected FILE.py:KERNEL or the name of an op" in fail("profile", "rilu")
    assert "there is no file" in fail("profile", tmp_path / "none.py:kernel")
    target = kernel_file(tmp_path)
    assert "has no kernel 'other'" in fail("profile", target.replace(":transpose", ":other"))
    assert "gpu: 'G80' given, expected one of T4" in fail("profile", target, "--gpu", "G80")


def test_profiling_sees_every_launch():
    x = nl.array(np.ones((40, 30), np.float32))
    with nl.profiling() as launches:
        y = nl.functional.relu(nl.tensor(x))
    assert len(launches) == 1
    assert launches[0].bytes_moved >= 2 * 4 * x.size
    np.testing.assert_array_equal(y.numpy(), np.ones((40, 30)))
    nl.functional.relu(nl.tensor(x))
    assert len(launches) == 1
