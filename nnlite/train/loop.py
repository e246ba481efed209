"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

from .. import functional as F
from ..errors import ArgumentError
from ..graph import graph as capture
from .inference import Loss, correct_answers, evaluate, make_loader
from .state import Callback, FitState, History, Meter

Step = Callable[[Any, Any], tuple[Any, Any]]


def fit(
    model: Any,
    train: Any,
    *,
    epochs: int,
    optimizer: Any,
    loss: Loss | None = None,
    validation: Any = None,
    batch_size: int = 64,
    seed: int = 0,
    scheduler: Any = None,
    callbacks: Iterable[Callback] = (),
    start_epoch: int = 0,
    history: History | None = None,
    progress: bool = True,
    graph: bool = False,
) -> History:
    """Train a model.

    Per batch: ``loss(model(x), y)``, gradients, ``optimizer.step()``, ``scheduler.step()``.

    Args:
        model: a Module; left in training mode.
        train: a :class:`DataLoader`, or a data set or pair (x, y), which is then shuffled.
        epochs: number of the last epoch to run, counted from the start of the training.
        optimizer: of ``nl.optim``.
        loss: function of (model output, labels) that returns a tensor of one item, the mean over
            the batch; default: cross entropy.
        validation: data to evaluate on after every epoch.
        batch_size, seed: of the loader, if ``train`` is none.
        scheduler: learning-rate schedule; its steps are batches, not epochs.
        callbacks: see :class:`Callback`.
        start_epoch: first epoch to run (from 0), when continuing.
        history: that of the training to continue; also says where, to the batch.
        progress: show a progress bar, or a line per epoch when the output is no terminal.
        graph: on a GPU, replay each step as a CUDA graph, see :func:`nnlite.graph`; the result is
            the same. On a CPU it changes nothing.

    Returns: the history; ``partial`` is set if a callback stopped it in the middle of an epoch.

    Raises:
        ArgumentError: epochs is no whole number or negative, there is no batch, or optimizer is
            none.

    Example:
        >>> optimizer = nl.optim.Adam(model.parameters(), lr=2e-3)
        >>> history = nl.fit(model, data.train, epochs=10, optimizer=optimizer)
    """
    loader = make_loader(model, train, batch_size, shuffle=True, seed=seed)
    if not isinstance(epochs, Integral) or epochs < 0 or len(loader) == 0:
        raise ArgumentError(
            f"fit: epochs {epochs!r} and {len(loader)} batches given, "
            "expected a whole number of epochs, 0 or more, and at least one batch"
        )
    if isinstance(optimizer, type) or not hasattr(optimizer, "zero_grad"):
        raise ArgumentError(
            f"fit: optimizer: {optimizer!r} given, expected one made of the parameters to train, "
            "such as nl.optim.Adam(model.parameters())"
        )
    history = History() if history is None else history
    state = FitState(model, optimizer, scheduler, loader, history, epochs)
    state.batches = len(loader)
    state.epoch = (history.partial or {}).get("epoch", max(start_epoch, len(history)))
    listeners = list(callbacks)
    if progress:
        from ..progress import ProgressBar

        listeners.insert(0, ProgressBar())
    step = _step_of(state, loss or F.cross_entropy)
    if graph:
        step = _kept(capture(step))
    _run(state, step, loss, validation, listeners)
    return history


def _step_of(state: FitState, loss: Loss) -> Step:
    """The function of (inputs, labels) that trains on a batch; (mean loss, correct answers)."""
    model, optimizer, scheduler = state.model, state.optimizer, state.scheduler

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        output = model(x)
        value = loss(output, y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return value.detach(), correct_answers(output, y)

    return step


def _kept(step: Step) -> Step:
    """The step with results of its own, which the next call does not overwrite."""

    def kept(x: Any, y: Any) -> tuple[Any, Any]:
        value, correct = step(x, y)
        return value.array.copy(), None if correct is None else correct.array.copy()

    return kept


def _run(
    state: FitState, step: Step, loss: Loss | None, validation: Any, listeners: list[Callback]
) -> None:
    """Run the epochs that are left."""
    state.model.train()
    for listener in listeners:
        listener.on_train_begin(state)
    try:
        while state.epoch < state.epochs and not state.stop:
            if _train_epoch(state, step, listeners):
                _finish_epoch(state, loss, validation)
                for listener in listeners:
                    listener.on_epoch_end(state)
                state.epoch += 1
    finally:
        for listener in listeners:
            listener.on_train_end(state)


def _train_epoch(state: FitState, step: Step, listeners: list[Callback]) -> bool:
    """Run the batches of an epoch; False if it was stopped before its end."""
    history = state.history
    before = history.partial or {}
    state.meter = Meter(*(before.get(k, 0) for k in ("loss_sum", "correct", "seen")))
    state.batch, state.seconds = before.get("batch", 0), before.get("seconds", 0.0)
    state.lr = before.get("lr", float(state.optimizer.lr))
    history.partial = None
    state.loader.set_epoch(state.epoch, state.batch)
    state.started = time.perf_counter()
    for x, y in state.loader:
        state.meter.add(*step(x, y), len(x))
        state.batch += 1
        for listener in listeners:
            listener.on_batch_end(state)
        if state.stop and state.batch < state.batches:
            meter = state.meter.collect()
            history.partial = {
                "epoch": state.epoch,
                "batch": state.batch,
                "loss_sum": meter.loss_sum,
                "correct": meter.correct,
                "seen": meter.seen,
                "seconds": state.elapsed,
                "lr": state.lr,
            }
            return False
    return True


def _finish_epoch(state: FitState, loss: Loss | None, validation: Any) -> None:
    """Evaluate, and append the record of the epoch to the history."""
    meter = state.meter.collect()
    seconds = state.elapsed
    result = (
        {"loss": None, "accuracy": None}
        if validation is None
        else evaluate(state.model, validation, loss=loss)
    )
    state.history.epochs.append(
        {
            "epoch": state.epoch + 1,
            "loss": meter.loss,
            "accuracy": meter.accuracy,
            "val_loss": result["loss"],
            "val_accuracy": result["accuracy"],
            "lr": state.lr,
            "images_per_second": meter.seen / seconds,
            "seconds": seconds,
        }
    )
