"""Compiled kernels on disk: reuse by another process, corruption, concurrency, keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import cuda, int32

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.cpu.fingerprint import Fingerprint

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import json, sys
import numpy as np
from numba import cuda, float32
from nnlite.kernels.engine.cpu import CpuKernel

TABLE = np.array([1.0, 2.0, 4.0, 8.0], np.float32)

@cuda.jit(device=True)
def double(v):
    return v * float32(FACTOR)

@cuda.jit
def weigh(x, out):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = double(x[cuda.grid(1)])
    cuda.syncthreads()
    out[cuda.grid(1)] = s[63 - t] * TABLE[t % 4]

x = np.arange(128, dtype=np.float32)
out = np.zeros_like(x)
kernel = CpuKernel(weigh)
shared = kernel.static_shared_bytes
kernel.launch((2, 1, 1), (64, 1, 1), 0, (x, out))
expected = FACTOR * x.reshape(2, 64)[:, ::-1] * np.tile(TABLE, 16)
np.testing.assert_array_equal(out.reshape(2, 64), expected)
front = "nnlite.kernels.engine.cpu.translate" in sys.modules
print(json.dumps({"cached": kernel.compiled[0].from_cache, "front end": front, "shared": shared}))
"""


def start(folder, factor=2):
    script, text = folder / "program.py", PROGRAM.replace("FACTOR", str(factor))
    # Not while another process may be reading it, who would find it empty.
    if not script.exists() or script.read_text() != text:
        script.write_text(text)
    env = {**os.environ, "NNLITE_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out, f"no output; {process.args} ended well and wrote: {err!r}"
    return json.loads(out)


def test_second_process_skips_the_front_end_and_damage_is_repaired(tmp_path):
    assert finish(start(tmp_path)) == {"cached": False, "front end": True, "shared": 256}
    assert finish(start(tmp_path)) == {"cached": True, "front end": False, "shared": 256}
    sources = list((tmp_path / "cache").glob("weigh-*.py"))
    assert len(sources) == 1
    assert "def weigh_" in sources[0].read_text()
    kernels = sorted((tmp_path / "cache").glob("weigh-*.kernel"), key=lambda f: f.stat().st_size)
    code = kernels[-1]
    whole = code.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1])):
        code.write_bytes(damaged)
        assert finish(start(tmp_path))["cached"] is False
        assert code.read_bytes()[:16] == whole[:16]
    assert finish(start(tmp_path))["cached"] is True
    assert finish(start(tmp_path, factor=3))["cached"] is False


def test_processes_may_start_together(tmp_path):
    results = [finish(p) for p in [start(tmp_path) for _ in range(3)]]
    assert all(r["shared"] == 256 for r in results)
    assert not list((tmp_path / "cache").glob(".new-*"))
    assert finish(start(tmp_path))["cached"] is True


def test_unwritable_directory_falls_back(tmp_path):
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the directory should be")
    assert finish(start(tmp_path))["shared"] == 256
    assert blocked.read_text() == "a file where the directory should be"


def make(constant, table, flag=True):
    @cuda.jit(device=True)
    def helper(v):
        return v + constant

    @cuda.jit
    def kernel(x):
        s = cuda.shared.array(4, int32)
        s[0] = helper(x[0]) if flag else table[0]

    return kernel.py_func


def test_fingerprint_sees_what_matters():
    table, same = np.zeros(3), np.ones(3)
    base = Fingerprint(make(1, table)).digest
    assert Fingerprint(make(1, same)).digest == base  # contents are passed at launch
    assert len(Fingerprint(make(1, table)).arrays) == 1
    changed = [make(2, table), make(1.0, table), make(1, table, False), make(1, np.zeros((3, 1)))]
    digests = {Fingerprint(f).digest for f in changed}
    assert len(digests | {base}) == 5
    assert Fingerprint(make(1, table)).uses_shared


@cuda.jit
def fill(x, v):
    i = cuda.grid(1)
    if i < x.size:
        x[i] = v


def test_one_compilation_per_block_types_and_signs():
    kernel = CpuKernel(fill)

    def run(block, x, v):
        kernel.launch((2, 1, 1), (block, 1, 1), 0, (x, v))
        np.testing.assert_array_equal(x, np.full(x.shape, v))
        return len(kernel.compiled)

    assert run(8, np.zeros(16), np.int32(1)) == 1
    assert run(8, np.zeros(9), np.int32(5)) == 1
    assert run(8, np.zeros(9), np.int32(-5)) == 2
    assert run(8, np.zeros(9, np.float32), np.int32(5)) == 3
    assert run(8, np.zeros(18)[::2], np.int32(5)) == 4
    assert run(16, np.zeros(9), np.int32(5)) == 5


def test_source_is_readable_python():
    source = CpuKernel(fill).source((8, 1, 1), (np.zeros(9), np.int32(1)))
    compile(source, "<generated>", "exec")
    assert "for tx_ in range(" in source
    assert "# lines" in source


@pytest.mark.parametrize("declared", [True, False])
def test_static_shared_bytes(declared):
    function = make(1, np.zeros(3)) if declared else fill
    assert CpuKernel(function).static_shared_bytes == (16 if declared else 0)
