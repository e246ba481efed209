"""The ops' own launchers, as on a GPU: their kernels compiled to PTX, which the machine runs.

Everything is what a GPU would be given: the arguments as the driver gets them, the launch, the
code; only the GPU is ``nnlite.testing.machine``, which finds accesses outside of every array, reads
of what nobody wrote, and barriers that not everybody reaches. The results are compared with each
op's reference within its own tolerance.

All ops take minutes, mostly in the compiler of PTX: each day a part of them runs, one of every
family at least. ``NNLITE_MACHINE_OPS=all`` runs all, on both GPUs; so do names between commas.
"""

from __future__ import annotations

import datetime
import itertools
import os
import re
import sys
import zlib

import numpy as np
import pytest

from nnlite.kernels import all_specs
from nnlite.testing.check_op import compare_call
from nnlite.testing.edges import boundary_calls
from nnlite.testing.fake_gpu import fake_gpu, kernels
from nnlite.testing.gradients import check_gradient
from nnlite.testing.layouts import fits
from nnlite.testing.machine import Fault
from nnlite.testing.seeded import seeded_calls
from nnlite.testing.strategies import Call

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
DAY = int(os.environ.get("NNLITE_CHECK_DAY", datetime.date.today().toordinal()))
WANTED = os.environ.get("NNLITE_MACHINE_OPS", "")
PARTS = 12
BOARDS = ("A100", "H100")  # sm_80 and sm_90a
SPECS = all_specs()


def family(spec) -> str:
    """The folder or file of an op: ``nnlite.kernels.reduce.sums`` is of ``reduce``."""
    return spec.forward.__module__.split(".")[2]


def of_today() -> list:
    if WANTED:
        names = {s.name for s in SPECS} if WANTED == "all" else set(WANTED.split(","))
        return [s for s in SPECS if s.name in names]
    chosen = {s.name for s in SPECS if zlib.crc32(s.name.encode()) % PARTS == DAY % PARTS}
    for _, members in itertools.groupby(sorted(SPECS, key=family), family):
        names = [s.name for s in members]
        if not chosen & set(names):
            chosen.add(names[DAY % len(names)])
    return [s for s in SPECS if s.name in chosen]


def boards() -> tuple[str, ...]:
    return BOARDS if WANTED else (BOARDS[DAY // PARTS % len(BOARDS)],)


def samples(spec) -> list[Call]:
    """The largest call around two blocks, its views at odd places, one of whole vectors of 128 bits
    (other kernels take it), and two with special values.
    """
    around = [c for c in itertools.islice(boundary_calls(spec), 200) if _size(c)]
    largest = max(around, key=_size)
    found = [largest]
    for layout in ("shifted", "sliced"):
        layouts = tuple(
            layout if _movable(spec, arg, value, layout) else "contiguous"
            for arg, value in zip(spec.args, largest.values, strict=True)
        )
        found.append(Call(largest.values, layouts, largest.options, largest.dtype))
    whole = [c for c in around if all(v is None or v.size % 16 == 0 for v in c.values)]
    found += [max(whole, key=_size)] if whole else []
    seeded = itertools.islice(seeded_calls(spec), 30)
    found += [c for c in seeded if c.dtype == np.float32][:2]
    return found


def _size(call: Call) -> int:
    sizes = [v.size for v in call.values if v is not None]
    return sum(sizes) if all(sizes) else 0


def _movable(spec, arg, value, layout: str) -> bool:
    if value is None or not value.size or not value.ndim:
        return False
    return layout == "shifted" or (arg.name not in spec.mutates and fits(layout, value))


@pytest.mark.parametrize("board", boards())
@pytest.mark.parametrize("spec", of_today(), ids=lambda spec: spec.name)
def test_op(spec, board):
    with fake_gpu(run="machine", gpu=board) as driver:
        compared = sum(compare_call(spec, call, "cuda") for call in samples(spec))
        if spec.vjp is not None:
            check_gradient(spec, device="cuda", cases=1)
    assert compared
    assert driver.launches


def test_every_family_is_in_each_day():
    assert {family(s) for s in of_today()} == {family(s) for s in SPECS} or WANTED


@pytest.mark.parametrize(
    ("pattern", "replacement", "error"),
    [
        (r"add\.f32", "sub.f32", AssertionError),
        (r"(ld\.global\.f32\s+%f\d+, \[%rd\d+)", r"\g<1>+1048576", Fault),
    ],
)
def test_a_wrong_kernel_is_found(monkeypatch, pattern, replacement, error):
    """The code changed: an addition that subtracts, a load from beyond all arrays."""
    spec = next(s for s in SPECS if s.name == "add")
    run = kernels.run_on_machine

    def changed(ptx, *rest):
        text, count = re.subn(pattern, replacement, ptx)
        assert count
        run(text, *rest)

    monkeypatch.setattr(kernels, "run_on_machine", changed)
    with fake_gpu(run="machine"), pytest.raises(error):
        compare_call(spec, samples(spec)[1], "cuda")
