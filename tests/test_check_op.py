"""``check_op`` on an op of a user's own: passes when it is right, fails for each thing wrong."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.errors import ArgumentError, DtypeError, ShapeError
from nnlite.kernels.opspec import Arg, OpSpec, Tolerance, Wrong
from nnlite.testing import (
    calls,
    check_forward,
    check_gradient,
    check_mutates,
    check_op,
    check_wrong,
)
from nnlite.testing.edges import special_calls
from nnlite.testing.layouts import LAYOUTS, fits, place


@nl.kernel
def square_kernel(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * x[i]


@nl.kernel
def square_gradient(dy, x, dx):
    i = cuda.grid(1)
    if i < x.size:
        dx[i] = (x[i] + x[i]) * dy[i]


def flat(x):
    return x.copy().reshape((x.size,))


def square(x):
    if x.dtype not in (np.float32, np.float64):
        raise DtypeError(f"square: x: dtype {x.dtype} given, expected float32 or float64")
    y = nl.empty(x.shape, x.dtype, x.device)
    if x.size:
        square_kernel[-(-x.size // 64), 64](flat(x), y.reshape((x.size,)))
    return y


def square_vjp(dy, x):
    dx = nl.empty(x.shape, x.dtype, x.device)
    if x.size:
        square_gradient[-(-x.size // 64), 64](flat(dy), flat(x), dx.reshape((x.size,)))
    return dx


WRONG = tuple(
    Wrong((np.zeros(3, dtype),), DtypeError, f"square: x: dtype {np.dtype(dtype)}")
    for dtype in (np.int32, np.int64, np.float16, np.uint8, np.bool_)
)
SPEC = OpSpec("square", square, np.square, (Arg("x", "..."),), WRONG, vjp=square_vjp)


def is_subnormal(x):
    return (x != 0) & (np.abs(x) < np.finfo(x.dtype).tiny)


def spoilt(change):
    """The op with its result changed by a NumPy function."""
    return dataclasses.replace(
        SPEC, forward=lambda x: nl.array(change(x, square(x).numpy()), device=x.device)
    )


def test_a_right_op_passes(device):
    check_op(SPEC, device=device)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: y + np.asarray(1e-6, y.dtype),
        lambda x, y: y.astype(np.float64),
        lambda x, y: y[..., None],
        lambda x, y: np.nan_to_num(y, nan=0.0, posinf=np.inf),
        lambda x, y: np.nan_to_num(y, nan=np.nan, posinf=float(np.finfo(y.dtype).max)),
        lambda x, y: np.where(x.numpy() == 0, x.numpy(), y),
        lambda x, y: np.where(is_subnormal(x.numpy()), 1, y).astype(y.dtype),
        lambda x, y: y if x.size != 17 else y * np.asarray(1.001, y.dtype),
        lambda x, y: y if x.is_contiguous else np.sort(y, axis=None).reshape(y.shape),
    ],
    ids=["error", "dtype", "shape", "nan", "inf", "zero", "subnormal", "block+1", "strides"],
)
def test_a_wrong_result_is_found(change):
    with pytest.raises(AssertionError, match="square of Call"):
        check_forward(spoilt(change), max_examples=300)


def test_a_changed_input_is_found():
    def careless(x):
        y = square(x)
        if x.size:
            x.copy_from(y)
        return y

    with pytest.raises(AssertionError, match="'x' was changed"):
        check_forward(dataclasses.replace(SPEC, forward=careless))


@pytest.mark.parametrize(
    "vjp",
    [
        lambda dy, x: None,
        lambda dy, x: (square_vjp(dy, x), None),
        lambda dy, x: dy.reshape((dy.size,)),
        lambda dy, x: nl.array(square_vjp(dy, x).numpy().astype(np.float64)),
        lambda dy, x: square_vjp(nl.full(dy.shape, 1, dy.dtype), x),
    ],
    ids=["none", "too many", "shape", "dtype", "ignores dy"],
)
def test_a_wrong_gradient_is_found(vjp):
    with pytest.raises(AssertionError, match="gradient of square"):
        check_gradient(dataclasses.replace(SPEC, vjp=vjp))


def moving_sum(x, kernel, stride):
    """Sums of windows; a window longer than x is a case that must not be drawn."""
    assert 1 <= kernel <= x.shape[1]
    return sum(x[:, k : x.shape[1] - kernel + k + 1 : stride] for k in range(kernel))


def spread(dy, x, kernel, stride):
    dx = np.zeros(x.shape, dy.dtype)
    for k in range(kernel):
        dx[:, k : x.shape[1] - kernel + k + 1 : stride] += dy.numpy()
    return nl.array(dx, device=x.device)


def fitting(integer):
    kernel, stride = integer(1, 4), integer(1, 3)
    return {"n": kernel + integer(0, 60)}, {"kernel": kernel, "stride": stride}


WINDOWS = OpSpec(
    "moving_sum",
    lambda x, **o: nl.array(moving_sum(x.numpy(), **o), device=x.device),
    moving_sum,
    (Arg("x", "rows n"),),
    (),
    {"stride": (7,)},
    vjp=spread,
    magnitude=lambda x, **o: moving_sum(np.abs(x), **o),
    tolerance=Tolerance(terms=lambda x, kernel, stride: kernel),
    special=False,
    configure=fitting,
)


def test_an_op_configures_sizes_and_options_that_fit(device):
    """Every case of every check has them: the reference asserts that they fit."""
    seen, graded = [], []

    def record(found):
        def reference(x, **options):
            found.append((x.shape, options["kernel"], options["stride"]))
            return moving_sum(x, **options)

        return dataclasses.replace(WINDOWS, reference=reference)

    assert check_forward(record(seen), device=device) == len(seen) >= 200
    assert check_gradient(record(graded), device=device) == 50
    for found in (seen, graded):
        assert {kernel for _, kernel, _ in found} == {1, 2, 3, 4}
        assert {stride for _, _, stride in found} == {1, 2, 3}
    assert len({shape[0] for shape, _, _ in seen}) > 3  # rows are not configured
    for call in special_calls(WINDOWS):
        moving_sum(call.values[0], **call.options)


def test_cases_that_are_refused_do_not_count(device):
    """Half of the calls are refused by reference and launcher: 200 others are found."""
    seen = []

    def forward(x):
        if x.size % 2:
            raise ShapeError("odd")
        return square(x)

    def reference(x):
        if x.size % 2:
            raise ShapeError("odd")
        seen.append(x.shape)
        return np.square(x)

    spec = dataclasses.replace(SPEC, forward=forward, reference=reference)
    assert check_forward(spec, device=device) == len(seen) >= 200
    assert check_gradient(spec, device=device) == 50
    assert {len(shape) for shape in seen} == {1, 2, 3, 4}  # a number alone is odd

    def never(x):
        raise ShapeError("always")

    assert check_forward(dataclasses.replace(SPEC, forward=never, reference=never)) == 0
    assert check_gradient(dataclasses.replace(SPEC, reference=never)) == 0


def test_a_wrong_gradient_of_a_configured_op_is_found():
    def one_too_few(dy, x, kernel, stride):
        dx = spread(dy, x, kernel, stride).numpy()
        dx[:, : dy.shape[1] * (kernel == 4)] = 0
        return nl.array(dx)

    with pytest.raises(AssertionError, match="gradient of moving_sum.*'kernel': 4"):
        check_gradient(dataclasses.replace(WINDOWS, vjp=one_too_few))


def test_a_wrong_call_that_passes_is_found():
    plain = np.zeros(3, np.float32)
    cases = {
        "no error": Wrong((plain,), DtypeError, "square"),
        "is not in": Wrong((np.zeros(3, int),), DtypeError, "cube"),
        "expected ArgumentError": Wrong((np.zeros(3, int),), ArgumentError, "square"),
    }
    for message, wrong in cases.items():
        with pytest.raises(AssertionError, match=message):
            check_wrong(dataclasses.replace(SPEC, wrong=(*WRONG, wrong)))
    with pytest.raises(AssertionError, match="4 wrong inputs, expected at least 5"):
        check_wrong(dataclasses.replace(SPEC, wrong=WRONG[:4]))


def test_an_argument_changed_before_the_error_is_found():
    def rash(x):
        x.copy_from(np.ones(x.shape, x.dtype))
        return square(x)

    with pytest.raises(AssertionError, match="changed before the error"):
        check_wrong(dataclasses.replace(SPEC, forward=rash))


def test_an_update_that_returns_a_copy_is_found():
    spec = dataclasses.replace(SPEC, mutates=("x",))
    with pytest.raises(AssertionError, match="not the array given"):
        check_mutates(spec)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_hold_the_values_they_were_given(device, layout):
    value = np.ascontiguousarray(np.broadcast_to(np.arange(5, dtype=np.float32), (3, 5)))
    assert fits(layout, value)
    placed = place(value, layout, device)
    assert np.array_equal(placed.array.numpy(), value)
    assert placed.array.is_contiguous == (layout == "contiguous")
    assert placed.unchanged()
    placed.base.copy_from(placed.before + 1)
    assert not placed.unchanged()


def test_a_layout_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="cannot be laid out"):
        place(np.arange(6.0).reshape(2, 3), "broadcast", "cpu")


def test_drawn_calls_reach_every_layout_and_the_special_shapes():
    from hypothesis import HealthCheck, given, settings

    seen = set()

    # Hypothesis draws from the numbers of all modules loaded so far, so no seed fixes the calls.
    @settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(calls(SPEC))
    def collect(call):
        (value,) = call.values
        seen.update(call.layouts, {f"rank {value.ndim}", value.dtype.name})
        seen.update(f"size {s}" for s in value.shape)
        if value.size and not np.isfinite(value).all():
            seen.add("special")

    collect()
    assert {*LAYOUTS, "float32", "float64", "special"} <= seen
    assert {f"rank {r}" for r in range(5)} <= seen
    assert {f"size {s}" for s in (0, 1, 7, 15, 16, 17)} <= seen


def test_without_hypothesis_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'hypothesis' else find(n, *a)\n"
        "import nnlite.testing as t; t.assert_close\n"
        "try: t.check_op\n"
        "except ImportError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'nnlite-cuda[test]'" in done.stdout
