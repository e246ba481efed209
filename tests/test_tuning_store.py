"""Measured choices on disk: found by the next process, never mistaken, never half written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

import nnlite as nl
from nnlite.kernels.engine import CPU
from nnlite.kernels.engine.tuning import identity, store
from tests.tuned_op import Op, arrays, tuned

pytestmark = pytest.mark.usefixtures("tuning_folder")


def test_the_fastest_is_used_stored_and_found_by_another_process(tuning_folder):
    op, (x, out) = Op(), arrays()
    (outcome,) = tuned(op, x, out).outcomes
    assert (outcome.chosen, outcome.default, outcome.gain) == ("fast", "usual", 2.0)
    assert outcome.stored
    assert op.ran[-1] == "fast"
    assert op(x, out) == "fast"
    assert np.array_equal(out.numpy(), 2 * x.numpy())
    other = Op()  # knows nothing but what is on disk
    assert other(x, out) == "fast"
    assert other.ran == ["fast"]
    (path,) = tuning_folder.iterdir()
    record = json.loads(path.read_text())["record"]
    assert record["config"] == "fast"
    assert record["subject"]["device"]["kind"] == "cpu"
    assert set(record["seconds"]) == {'"usual"', '"slow"', '"fast"'}


def test_other_sources_devices_and_drivers_have_choices_of_their_own(monkeypatch):
    op = Op()
    tuned(op, *arrays())
    assert Op(sources=("csv",))(*arrays()) == "usual"
    was = identity.of_device(CPU)
    for change in ({"model": "another"}, {"numba": "0.0"}, {"threads": "1024"}):
        monkeypatch.setattr(identity, "of_device", lambda d, c=change: was | c)
        assert Op()(*arrays()) == "usual"
    monkeypatch.setattr(identity, "of_device", lambda d: was)
    assert Op()(*arrays()) == "fast"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\x00",
        b"[1, 2]",
        b"[" * 100_000,
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b'"config": "fast"', b'"config": "slow"'),
        lambda text: text.replace(b'"nnlite_tuning": 1', b'"nnlite_tuning": 2'),
    ],
)
def test_a_damaged_file_counts_as_none_and_is_replaced(tuning_folder, damage):
    op, (x, out) = Op(), arrays()
    tuned(op, x, out)
    (path,) = tuning_folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole) if callable(damage) else damage)
    assert path.read_bytes() != whole
    op.choice.forget()
    assert op(x, out) == "usual"
    tuned(op, x, out)
    assert Op()(x, out) == "fast"


def test_a_file_of_something_else_is_not_used(tuning_folder):
    op, (x, out) = Op(), arrays()
    tuned(op, x, out)
    (path,) = tuning_folder.iterdir()
    about = store.subject(op.choice, CPU, (1024,))
    store.path_of(about).write_bytes(path.read_bytes())
    assert op(*arrays(1000)) == "usual"


def test_a_disk_that_takes_nothing_costs_only_the_next_process(tuning_folder):
    tuning_folder.write_text("a file where the folder should be")
    op, (x, out) = Op(), arrays()
    found = tuned(op, x, out)
    assert "not stored" in str(found)
    assert op.ran[-1] == "fast"
    assert Op()(x, out) == "usual"


def test_threads_and_processes_that_tune_at_once_leave_one_whole_file(tuning_folder):
    ops = [Op() for _ in range(8)]
    threads = [
        threading.Thread(
            target=lambda op=op: [
                store.write(op.choice, CPU, (8,), way, {}) for way in ("fast", "slow") * 20
            ]
        )
        for op in ops
    ]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        for path in store.files():
            assert store.load(path) is not None
    (path,) = tuning_folder.iterdir()
    assert store.load(path)["config"] in ("fast", "slow")


def test_a_stored_choice_survives_the_process(tmp_path):
    """For real: written by one process, read by the next one."""
    code = (
        "import sys, nnlite as nl; from nnlite.kernels.engine import CPU, tuning\n"
        "c = tuning.Choice('way', lambda d, p: (1, 2, 3), lambda d, p: 1, sources=('json',))\n"
        "if sys.argv[1] == 'write': print(tuning.store.write(c, CPU, (8, 'f4'), 3, {}))\n"
        "else: print(c(CPU, (7, 'f4')), c(CPU, (9, 'f4')))\n"
    )
    env = {"NNLITE_CACHE_DIR": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    done = [
        subprocess.run([sys.executable, "-c", code, what], env=env, capture_output=True, text=True)
        for what in ("write", "read")
    ]
    assert done[1].stdout == "3 1\n", done


@pytest.mark.parametrize(("kind", "package"), [("cpu", "cpu"), ("cuda", "ptx")])
def test_what_the_engine_makes_of_a_kernel_counts_too(driver, monkeypatch, tmp_path, kind, package):
    """An intrinsic that has changed may make another candidate the fastest."""
    op, real = Op(), identity._files
    before = store.subject(op.choice, nl.device(kind), (1024,))
    new = tmp_path / "new.py"
    new.write_text("# as if there were one more module")

    def files(name):
        more = name == f"nnlite.kernels.engine.{package}"
        return [*real(name), *[new] * more]

    monkeypatch.setattr(identity, "_files", files)
    identity.of_sources.cache_clear()
    after = store.subject(op.choice, nl.device(kind), (1024,))
    identity.of_sources.cache_clear()
    assert {key for key in before if before[key] != after[key]} == {"engine"}
    assert store.path_of(before) != store.path_of(after)
