"""Launches on the pretended GPU: how arguments are passed, what is compiled, kept and left out."""

from __future__ import annotations

import contextlib
import struct
from collections import namedtuple

import numpy as np
import pytest
from numba import cuda, types
from numba.cuda.typing.typeof import typeof

import nnlite as nl
from nnlite.kernels import all_specs
from nnlite.kernels.engine import Kernel
from nnlite.kernels.engine.cpu import cache
from nnlite.kernels.engine.gpu import compile as gpu_compile
from nnlite.kernels.engine.gpu.arguments import Packed, Packer, describe, signature
from nnlite.kernels.engine.gpu.compile import compiled
from nnlite.kernels.engine.gpu.launch import Launcher
from nnlite.testing.fake_gpu import fake_gpu
from nnlite.testing.fake_gpu.memory import bytes_at

Pair = namedtuple("Pair", "x factor")
CAPABILITY = (8, 0)
SCALARS = [
    *(True, np.bool_(False), 3, -(2**63), 2**63, 2**64 - 1, 2.5, 1 + 2j, np.complex64(3 - 1j)),
    *(np.float16(1.5), np.float32(-2.5), np.float64(1e300), np.int8(-3), np.int16(-300)),
    *(np.int32(-70000), np.int64(-5), np.uint8(200), np.uint16(60000), np.uint32(2**32 - 1)),
    *(np.uint64(2**64 - 1), np.complex128(1e300 + 1j)),
]


@nl.kernel
def store(value, out):
    out[0] = value


@nl.kernel
def sums(before, pair, nested, after, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = pair.x[i] * pair.factor + nested[0] + nested[1][0][i] * nested[1][1] - before
        out[i] += after


@pytest.mark.parametrize("value", SCALARS, ids=repr)
@pytest.mark.parametrize("how", ["cpu", "machine"])
def test_numbers_arrive(value, how):
    """Each as numba-cuda types it, by the source on a CPU and by the PTX on the machine."""
    dtype = np.dtype(str(typeof(value)))
    with fake_gpu(how):
        out = nl.zeros(1, dtype)
        for _ in range(2):
            store[1, 1](value, out)
        assert out.numpy()[0] == value
    found, code = signature([describe(value, [])])
    assert found == (typeof(value),)
    assert struct.calcsize(code) == dtype.itemsize


@pytest.mark.parametrize("how", ["cpu", "machine"])
def test_tuples_arrive(how):
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    with fake_gpu(how):
        x = nl.array(host)
        out = nl.empty(3)
        for _ in range(2):
            sums[1, 32](
                np.int8(1),
                Pair(x[:, 1], np.float32(2)),
                (np.float32(3), (x[::-1, 2], np.float32(4))),
                True,
                out,
            )
        expected = host[:, 1] * 2 + 3 + host[::-1, 2] * 4
        assert np.array_equal(out.numpy(), expected)


@pytest.mark.parametrize("code", ["bq", "?d", "Bdhf", "ddd", "bhiqe", ""])
def test_each_parameter_lies_where_the_table_says(code):
    packer = Packer(code)
    data = packer.pack(*range(1, len(code) + 1))
    packed = Packed(packer, data)
    kinds = {"b": "i1", "B": "u1", "?": "?", "h": "i2", "i": "i4", "q": "i8", "e": "f2"}
    addresses = bytes_at(packed.table, 8 * len(code)).view(np.uint64)
    for number, (c, offset, address) in enumerate(zip(code, packer.offsets, addresses), 1):
        dtype = np.dtype(kinds.get(c, c))
        assert offset % dtype.itemsize == 0
        assert np.frombuffer(data, dtype, 1, offset)[0] == dtype.type(number)
        assert bytes_at(int(address), dtype.itemsize).view(dtype)[0] == dtype.type(number)


@pytest.mark.parametrize("name", ["add", "matmul", "softmax", "adam_update", "dropout", "argmax"])
def test_the_ptx_declares_what_is_packed(name):
    """As many parameters, of the same sizes."""
    from nnlite.testing.fake_gpu.kernels import Loaded

    (spec,) = (spec for spec in all_specs() if spec.name == name)
    kernel, given = spec.kernels[0]
    code = "".join(
        "QQqqQ" + "q" * (2 * kind.ndim)
        if isinstance(kind, types.Array)
        else np.dtype(str(kind)).char.replace("l", "q").replace("L", "Q")
        for kind in given
    )
    packer = Packer(code)
    sizes = [np.dtype(c.replace("Q", "u8").replace("q", "i8")).itemsize for c in code]
    ends = [*packer.offsets[1:], struct.calcsize(code)]
    assert all(at + size <= end for at, size, end in zip(packer.offsets, sizes, ends))
    found = compiled(kernel, given, CAPABILITY, False)
    assert Loaded(found, "machine").sizes == sizes


# -- files -----------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for compiled kernels, and a count of compilations."""
    monkeypatch.setenv("NNLITE_CACHE_DIR", str(tmp_path))
    cache.directory.cache_clear()
    count = []
    real = gpu_compile._compile
    monkeypatch.setattr(gpu_compile, "_compile", lambda *a: count.append(1) or real(*a))
    yield tmp_path, count
    cache.directory.cache_clear()


def make(constant):
    @nl.kernel
    def scaled(x, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = x[i] * constant

    return scaled


F4 = types.float32[::1]


def test_code_is_kept_and_told_apart(folder):
    place, count = folder
    first = compiled(make(2), (F4, F4), CAPABILITY, False)
    again = compiled(make(2), (F4, F4), CAPABILITY, False)
    assert (first.ptx, first.name, len(count)) == (again.ptx, again.name, 1)
    different = [
        compiled(make(3), (F4, F4), CAPABILITY, False),
        compiled(make(2), (types.float64[::1], F4), CAPABILITY, False),
        compiled(make(2), (F4, F4), (7, 5), False),
        compiled(Kernel(make(2).py_func, fastmath=True), (F4, F4), CAPABILITY, False),
        compiled(Kernel(make(2).py_func, launch_bounds=64), (F4, F4), CAPABILITY, False),
        compiled(make(2), (F4, F4), CAPABILITY, True),
    ]
    assert len(count) == 1 + len(different)
    assert different[-1].cubin[:4] == b"\x7fELF"
    assert different[0].ptx != first.ptx
    assert len(list(place.glob("*.kernel"))) == len(count)


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_compiled_anew(folder, damage):
    place, count = folder
    kernel = make(2)
    first = compiled(kernel, (F4, F4), CAPABILITY, False)
    (file,) = place.glob("*.kernel")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?" if damage is None else damage)
    assert compiled(kernel, (F4, F4), CAPABILITY, False).ptx == first.ptx
    assert len(count) == 2
    assert file.read_bytes() == whole


TABLE = np.array([1.0, 2.0], np.float32)


def test_contents_of_global_arrays_count(folder, monkeypatch):
    @nl.kernel
    def looked_up(x, out):
        out[0] = x[0] * TABLE[1]

    found = []
    for value in (2.0, 5.0, 2.0):
        monkeypatch.setitem(globals(), "TABLE", np.array([1.0, value], np.float32))
        found.append(compiled(looked_up, (F4, F4), CAPABILITY, False).ptx)
    assert found[0] == found[2]


def test_intrinsics_of_one_factory_are_told_apart(folder):
    """What an intrinsic does is decided by closure variables of functions inside it."""

    def kernel_of(function):
        @nl.kernel
        def kernel(x, out):
            out[0] = function(x[0], x[1])

        return kernel

    marks = {gpu_compile._key(kernel_of(f), (F4, F4), CAPABILITY, False) for f in FACTORY_MADE}
    assert len(marks) == len(FACTORY_MADE)
    assert None not in marks


def _factory(name):
    from numba.cuda.extending import intrinsic

    @intrinsic
    def combine(typing, a, b):
        def codegen(context, builder, signature, given):
            return getattr(builder, name)(*given)

        return a(a, b), codegen

    return combine


FACTORY_MADE = [_factory(name) for name in ("fadd", "fmul", "fsub")]


def test_kernels_that_numba_cuda_launches_itself(folder):
    @nl.kernel
    def prints(x):
        print(x[0])

    @nl.kernel
    def waits(x):
        cuda.cg.this_grid().sync()
        x[0] = 1

    for kernel in (prints, waits):
        for _ in range(2):  # compiled, then from the file
            assert compiled(kernel, (F4,), CAPABILITY, True) is None
    assert len(folder[1]) == 2


def test_hopper_has_its_own_variant():
    assert gpu_compile.capability_of((9, 0)) == (9, 0, "a")
    assert gpu_compile.capability_of((8, 9)) == (8, 9)


def test_numba_cuda_gets_a_stream_of_its_own_kind(monkeypatch):
    """It takes no stream of ours or of PyTorch's, and keeps configurations of equal launches."""

    class Configured:
        def __init__(self):
            self.pre_launch_callbacks = []

        def __call__(self, *args):
            launched.append(len(self.pre_launch_callbacks))

    class Dispatcher:
        def __getitem__(self, config):
            given.append(config[2])
            return kept

    launched, given, kept = [], [], Configured()
    launch = nl.kernel(lambda value: None)
    launch.gpu = Dispatcher()
    monkeypatch.setattr(cuda, "gpus", [contextlib.nullcontext()])
    monkeypatch.setattr(cuda, "external_stream", lambda handle: ("external", handle))
    with fake_gpu():
        side = nl.Stream()
        for stream in (0, side, side.handle, 0):
            Launcher(launch[1, 1, stream, 64 * 1024], nl.device("cuda")).launch_by_numba(())
        with side:
            Launcher(launch[1, 1], nl.device("cuda")).launch_by_numba(())
    assert given == [0, *[("external", side.handle)] * 2, 0, ("external", side.handle)]
    assert launched == [1] * 5
