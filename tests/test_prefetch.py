"""``DataLoader(prefetch=...)``: the same batches, made and copied ahead by a thread."""

from __future__ import annotations

import itertools
import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import nnlite as nl
from bench import prefetch as bench
from nnlite.data import DataLoader
from nnlite.data.augment import parse_augmentation
from nnlite.data.prefetch import NAME, prefetch
from nnlite.errors import ArgumentError
from nnlite.kernels.engine.gpu.driver import active
from nnlite.testing.fake_gpu import FakeDriver, fake_gpu


def images(n=23):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, n)


class Items:
    """A data set without arrays, which counts what it was asked for."""

    def __init__(self, n=12, broken=None):
        self.n, self.broken, self.asked = n, broken, 0

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.asked += 1
        if i == self.broken:
            raise OSError(f"item {i} cannot be read")
        return np.full(3, i), i


def threads():
    return [t for t in threading.enumerate() if t.name == NAME]


def taken(loader):
    return [(x.numpy(), y.numpy()) for x, y in loader]


def assert_same(a, b):
    assert len(a) == len(b)
    for (x, y), (u, v) in zip(a, b):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


@pytest.fixture(params=["cpu", "gpu", "not pinned"])
def options(request):
    """Of a loader that makes its batches ahead, on a CPU and on the pretended GPU."""
    with fake_gpu() as driver:
        here = {"device": "cpu"} if request.param == "cpu" else {}
        yield {"prefetch": 2, "pin_memory": request.param != "not pinned", **here}
        assert not threads()
        assert not driver.pinned.sizes
        assert list(driver._streams) == [0]


@pytest.mark.parametrize("data", [images(), Items()], ids=["arrays", "items"])
@pytest.mark.parametrize("ahead", [1, 2, 7, 100])
def test_the_batches_are_the_same(options, data, ahead):
    plain = DataLoader(data, 5, shuffle=True, seed=3)
    eager = DataLoader(data, 5, shuffle=True, seed=3, **{**options, "prefetch": ahead})
    for _ in range(2):  # epochs
        assert_same(taken(plain), taken(eager))
    assert plain.state_dict() == eager.state_dict()


def test_augmentation_shifts_and_short_batches_too(options):
    kinds = {"shift": 2, "augment": parse_augmentation("flip,crop:1"), "shuffle": True}
    for drop_last in (False, True):
        loaders = [
            DataLoader(images(), 4, drop_last=drop_last, **kinds, **o) for o in ({}, options)
        ]
        assert_same(*map(taken, loaders))


def test_a_pass_can_be_continued(options):
    loader = DataLoader(images(), 4, shuffle=True, seed=1, **options)
    whole = taken(loader)
    loader.set_epoch(0)
    first = [(x.numpy(), y.numpy()) for x, y in itertools.islice(loader, 2)]
    state = loader.state_dict()
    assert state == {"seed": 1, "epoch": 0, "batch": 2}
    again = DataLoader(images(), 4, shuffle=True, **options)
    again.load_state_dict(state)
    assert_same(whole, first + taken(again))


def test_an_error_comes_where_its_batch_would(options):
    loader = DataLoader(Items(broken=7), 2, **options)
    seen = []
    with pytest.raises(OSError, match="item 7 cannot be read"):
        seen.extend(y.numpy().tolist() for _, y in loader)
    assert seen == [[0, 1], [2, 3], [4, 5]]


def test_a_loop_left_early_leaves_no_thread(options):
    loader = DataLoader(Items(1000), 2, **options)
    for _ in loader:
        break
    assert not threads()
    with pytest.raises(ZeroDivisionError):
        sum(1 // len(threads()[1:]) for _ in loader)
    assert not threads()
    iterator = iter(loader)
    assert next(iterator)[1].numpy().tolist() == [0, 1]
    assert len(threads()) == 1
    iterator.close()
    assert not threads()
    assert loader.dataset.asked < 100


def test_an_interrupted_close_leaves_the_thread_to_end_by_itself(options, monkeypatch):
    """A second Ctrl-C while the iterator waits for a thread that still fills pinned memory."""
    reading, go_on = threading.Event(), threading.Event()

    class Slow(Items):
        def __getitem__(self, i):
            if i == 6:
                reading.set()
                assert go_on.wait(20)
            return super().__getitem__(i)

    iterator = iter(DataLoader(Slow(1000), 2, **options))
    next(iterator)
    assert reading.wait(20)
    (thread,) = threads()
    held = dict(active().pinned.sizes)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", lambda *given: interrupt())
        with pytest.raises(KeyboardInterrupt):
            iterator.close()
    assert thread.is_alive()
    assert active().pinned.sizes == held, "the thread writes to it"
    go_on.set()
    thread.join(20)
    assert not thread.is_alive()


def interrupt():
    raise KeyboardInterrupt


def test_batches_are_made_ahead_and_no_further():
    """With two waiting and one in hand, the thread has made four batches and then waits."""
    data = Items(100)
    with fake_gpu():
        iterator = iter(DataLoader(data, 5, prefetch=2, device="cpu"))
        next(iterator)
        deadline = time.monotonic() + 20
        while data.asked < 20 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert data.asked == 20
        iterator.close()


def test_everything_raised_in_the_thread_is_passed_on():
    def numbers():
        yield 1
        raise KeyboardInterrupt

    found = prefetch(numbers, 3)
    assert next(found) == 1
    with pytest.raises(KeyboardInterrupt):
        next(found)
    assert not threads()


def work_on(loader):
    """Sums over batches that are let go while their work waits: the memory is used again."""
    total = nl.tensor(np.zeros((4, 36), np.float32))
    for x, _ in loader:
        flat = x.reshape(4, 36)
        total = total + flat * flat + flat
    return total.numpy()


def test_copies_wait_for_the_work_before_and_work_for_the_copies(driver):
    data = images(60)
    expected = work_on(DataLoader(data, 4))
    before = driver.to_host
    assert np.array_equal(work_on(DataLoader(data, 4, prefetch=3)), expected)
    assert driver.to_host - before == expected.nbytes
    blocks = driver.allocated
    assert np.array_equal(work_on(DataLoader(data, 4, prefetch=3)), expected)
    assert driver.allocated == blocks


def test_without_waits_the_pretended_gpu_gives_other_results(driver, monkeypatch):
    """What the test before it relies on."""
    data = images(60)
    expected = work_on(DataLoader(data, 4))
    monkeypatch.setattr(FakeDriver, "wait", lambda *given: None)
    assert not np.array_equal(work_on(DataLoader(data, 4, prefetch=3)), expected)


def test_a_graph_is_fed_ahead():
    def losses(graph, ahead):
        nl.manual_seed(0)
        model = nl.nn.Sequential(nl.nn.Flatten(), nl.nn.Linear(36, 3))
        optimizer = nl.optim.Adam(model.parameters(), lr=0.01)
        loader = DataLoader(images(), 5, shuffle=True, prefetch=ahead)
        history = nl.fit(model, loader, epochs=4, optimizer=optimizer, graph=graph, progress=False)
        return history["loss"]

    with fake_gpu():
        plain = losses(False, 0)
    with fake_gpu() as driver:
        assert losses(True, 2) == plain
        assert driver.graphs


def test_prefetch_is_a_number():
    for wrong in (-1, 1.5, None):
        with pytest.raises(ArgumentError, match="DataLoader: prefetch: .* given, expected 0"):
            DataLoader(images(), 5, prefetch=wrong)


def test_the_bench_prints_a_line_for_each_case(monkeypatch, capsys, command_on_the_cpu):
    monkeypatch.setattr(bench, "load", lambda name: SimpleNamespace(train=images(40)))
    monkeypatch.setattr(bench, "CASES", (("small", 36, 0), ("smaller", 36, 1)))
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "BATCH", 10)
    bench.main()
    numbers = r"\d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\)"
    ratios = rf"with / without: CPU time {numbers}, wall time {numbers}"
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"small +shift 0 +step +\d+ us +{ratios}", first)
    assert re.fullmatch(rf"smaller +shift 1 +step +\d+ us +{ratios}", second)
    assert not threads()
