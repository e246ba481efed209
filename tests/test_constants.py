"""Constants of launchers: complete for every stream, no part of graphs, forgotten with a driver."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings

import numpy as np
import pytest

import nnlite as nl
import nnlite.functional as F
from nnlite.kernels.engine.constants import forget_constants, is_constant
from nnlite.kernels.engine.gpu import use_driver
from nnlite.kernels.engine.gpu.arrays import all_memory
from nnlite.kernels.engine.tuning import Choice, identity
from nnlite.kernels.engine.tuning.session import for_the_process
from nnlite.kernels.update.many import moving_table
from nnlite.testing.fake_gpu import FakeDriver, fake_gpu


def remembering():
    """(name, function) of every function of the project that remembers what it returns."""
    cache = type(functools.cache(lambda: None))
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "nnlite":
            owners = [module, *(o for o in vars(module).values() if inspect.isclass(o))]
            for owner in owners:
                for key, value in list(vars(owner).items()):
                    if isinstance(value, cache):
                        yield f"{name}.{key}", value


def test_arrays_are_remembered_as_constants_alone():
    """Another cache would give a stream what another one has not written yet, or be for one."""
    found = {
        key: is_constant(f) or "stream" in signature.parameters
        for key, f in remembering()
        if "Array" in str((signature := inspect.signature(f.__wrapped__)).return_annotation)
    }
    assert len(found) >= 14
    others = [key for key, constant in found.items() if not constant]
    assert not [key for key in others if not key.endswith("all_memory")]  # which writes nothing


def x_of(*shape):
    return nl.tensor(np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape))


USERS = {
    "matmul": lambda: F.linear(x_of(4, 3), x_of(2, 3)),
    "batch norm": lambda: nl.nn.BatchNorm1d(3, affine=False)(x_of(4, 3)),
    "cross entropy": lambda: F.cross_entropy(
        x_of(4, 3), nl.tensor(np.zeros(4, np.int64)), label_smoothing=0.1
    ),
    "conv": lambda: F.conv2d(x_of(1, 2, 5, 5), x_of(3, 2, 3, 3)),
    "pool": lambda: F.max_pool2d(x_of(1, 2, 5, 5), 3, stride=2, padding=1),
    "resample": lambda: F.interpolate(x_of(1, 2, 4, 4), size=(5, 7), mode="bilinear"),
}


@pytest.mark.parametrize("name", USERS)
def test_every_stream_finds_them_written(driver, name):
    """Made in one stream, read in another that has not waited for it."""
    user, side = USERS[name], nl.Stream()
    expected = user().numpy()
    forget_constants()
    with side:
        user()
    np.testing.assert_array_equal(user().numpy(), expected)


@pytest.mark.parametrize("name", USERS)
def test_each_driver_has_its_own(name):
    found = []
    for _ in range(2):
        with fake_gpu():
            found.append(USERS[name]().numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("when", [1, 2, 3])
def test_one_that_is_made_during_a_capture_is_no_part_of_it(driver, when):
    """Evicted before the call that would capture, verify or replay: captured again, no warning."""
    w = x_of(3, 2)
    run, x = nl.graph(lambda x: x @ w), nl.tensor(np.ones((4, 3), np.float32))
    expected = (x @ w).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for k in range(8):
            if k == when:
                forget_constants()
            np.testing.assert_array_equal(run(x).numpy(), expected)
    assert run.replays >= 3
    assert not run.reason


def test_what_is_remembered_goes_with_its_driver(driver):
    """Other tables would lie at those addresses, or nothing."""
    moving_table([nl.array(np.ones(3, np.float32)).copy() for _ in range(2)])
    all_memory(np.dtype(np.float32), nl.device("cuda"))
    for user in USERS.values():
        user()
    found = {
        key: f
        for key, f in remembering()
        if "Array" in str(inspect.signature(f.__wrapped__).return_annotation)
    }
    full = [key for key, f in found.items() if f.cache_info().currsize]
    assert {key.rpartition(".")[2] for key in full} >= {"_remembered_table", "all_memory"}
    use_driver(FakeDriver())
    assert not [key for key, f in found.items() if f.cache_info().currsize]


def test_what_is_chosen_goes_with_its_driver(driver, tuning_folder):
    made = Choice("driver", lambda d, p: (), lambda d, p: d.limits.sms, sources=("json",))
    seen, tuning = [], for_the_process()  # which holds arrays for its clock
    for gpu in ("A100", "H200"):
        use_driver(FakeDriver(gpu=gpu))
        device = nl.device("cuda")
        seen.append((made(device, 8), identity.of_device(device)["model"]))
        assert made(device, 8) == device.limits.sms
        assert seen[-1][1] == device.limits.name
    assert seen[0] != seen[1]
    assert for_the_process() is not tuning
