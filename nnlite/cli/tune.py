"""``nnlite tune``: choices of launchers made by measurement, for this device."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.table import Table

from .. import array, device, functional, models, optim, tensor
from ..errors import ArgumentError
from ..kernels import matmul
from ..kernels.engine import Device
from ..kernels.engine.tuning import Tuning, identity, store
from .terminal import open_console

CLASSES = 10
STEPS = 2  # the second one finds what the first has left in another layout
SMALL, LARGE = (1, 28, 28), (3, 32, 32)
SHAPES = {"mlp": SMALL, "lenet": SMALL}  # of one input; of the other models LARGE
PRODUCT = re.compile(r"(\d+)x(\d+)x(\d+)")
DEFAULTS = ("mlp", "lenet", "resnet8")
GPU_DEFAULTS = ("1024x1024x1024", "4096x4096x4096")


def run(targets: list[str], batch_size: int, where: str | None, again: bool) -> None:
    """Tune the steps of models and products, and say what was found."""
    place = device(where)
    names = targets or [*DEFAULTS, *([] if place.is_cpu else GPU_DEFAULTS)]
    work = {name: work_of(name, batch_size, place) for name in names}
    console = open_console()
    tuning = Tuning(again=again)
    for name, call in work.items():
        before = len(tuning.outcomes)
        with console.status(f"{name} on {place}"), tuning:
            call()
        found = tuning.outcomes[before:]
        console.print(f"{name}: {len(found)} choices measured", highlight=False)
        for outcome in found:
            console.print(f"  {outcome}", markup=False, highlight=False, soft_wrap=True)
    if not tuning.outcomes:
        console.print("Nothing to measure: there is no choice, or it is stored (see --again).")


def work_of(name: str, batch_size: int, place: Device) -> Callable[[], Any]:
    """What a target runs.

    Raises:
        ArgumentError: it is neither a model nor a product.
    """
    sizes = PRODUCT.fullmatch(name)
    if sizes is not None:
        m, n, k = map(int, sizes.groups())
        return lambda: product(m, n, k, place)
    if name not in models.names():
        raise ArgumentError(
            f"tune: {name!r} given, expected a product such as 4096x4096x4096 (rows x columns x "
            f"steps) or a model: {', '.join(models.names())}"
        )
    return lambda: step(name, batch_size, place)


def product(m: int, n: int, k: int, place: Device) -> None:
    """One product of random matrices (m, k) and (k, n)."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, np.float32) for shape in ((m, k), (k, n)))
    matmul.matmul(array(a, device=place), array(b, device=place))


def step(name: str, batch_size: int, place: Device) -> None:
    """Training steps of a model on random images."""
    shape = SHAPES.get(name, LARGE)
    model = models.build(name, shape, CLASSES).to(place)
    update = optim.Adam(model.parameters())
    rng = np.random.default_rng(0)
    x = tensor(rng.standard_normal((batch_size, *shape), np.float32), device=place)
    labels = array(rng.integers(0, CLASSES, batch_size), device=place)
    for _ in range(STEPS):
        update.zero_grad()
        functional.cross_entropy(model(x), labels).backward()
        update.step()


def show() -> None:
    """A table of what is stored."""
    table = Table("choice", "shapes", "chosen", "default", "device", "good for this one")
    here = {}
    for path in store.files():
        record = store.load(path)
        if record is None:
            table.add_row(path.name, "", "", "", "damaged: counts as none", "")
            continue
        about = record["subject"]
        kind = about["device"]["kind"]
        if kind not in here:
            here[kind] = identity.of_device(device(kind)) if _present(kind) else None
        good = "yes" if about["device"] == here[kind] else "no"
        table.add_row(about["choice"], str(about["class"]), str(record["config"]),
                      str(record.get("default", "")), about["device"]["model"], good)  # fmt: skip
    console = open_console()
    console.print(table if table.row_count else "No choice has been measured yet.")


def _present(kind: str) -> bool:
    from .. import devices

    return any(d.kind == kind for d in devices())


def clear() -> None:
    """Delete what is stored."""
    open_console().print(f"{store.clear()} stored choices deleted", highlight=False)
