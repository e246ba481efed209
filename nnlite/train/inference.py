"""A model at work: evaluation on a data set and prediction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..data import ArrayDataset, DataLoader
from ..errors import ArgumentError
from ..kernels.engine import Array, Device, array
from ..tensor import Tensor
from .state import Meter

Loss = Callable[[Any, Any], Any]


def evaluate(
    model: Any, data: Any, batch_size: int = 250, *, loss: Loss | None = None
) -> dict[str, float]:
    """Mean loss and accuracy on a data set, in evaluation mode and without gradients.

    Args:
        model: a Module; its mode, and that of each layer, is restored.
        data: a data set, a pair (x, y) or a :class:`DataLoader`.
        batch_size: items per batch, if ``data`` is no loader.
        loss: as in :func:`fit`.

    Returns: ``{"loss": …, "accuracy": …}``.

    Raises:
        ArgumentError: there is no item, or batch_size < 1.
    """
    loader = make_loader(model, data, batch_size)
    loss, meter = loss or F.cross_entropy, Meter()
    with inference_mode(model):
        for x, y in loader:
            output = model(x)
            meter.add(loss(output, y), correct_answers(output, y), len(x))
    if meter.collect().seen == 0:
        raise ArgumentError("evaluate: data: no item given, expected at least one")
    return {"loss": meter.loss, "accuracy": meter.accuracy}


def predict(model: Any, x: Any, batch_size: int = 250) -> np.ndarray:
    """Outputs of a model (for a classifier: logits) in evaluation mode and without gradients.

    Args:
        model: a Module; its mode, and that of each layer, is restored.
        x: inputs (N, ...) as the model was trained on, float32; or an ArrayDataset.
        batch_size: items per batch.

    Shape: (N, ...) -> (N, classes).

    Raises:
        ArgumentError: x has no item, or batch_size < 1.
    """
    if len(x) == 0:
        raise ArgumentError("predict: x: no item given, expected at least one")
    if batch_size < 1:
        raise ArgumentError(f"predict: batch_size: {batch_size!r} given, expected 1 or more")
    device = model_device(model)
    outputs = []
    with inference_mode(model):
        for i in range(0, len(x), batch_size):
            part = x[i : i + batch_size]
            if isinstance(x, ArrayDataset):
                part = part[0]
            elif not isinstance(part, (Tensor, Array)):
                part = np.asarray(part, np.float32)
            if not isinstance(part, Tensor):
                part = Tensor(array(part, device=device) if isinstance(part, np.ndarray) else part)
            outputs.append(model(part).numpy())
    return np.concatenate(outputs)


def correct_answers(output: Any, labels: Any) -> Any:
    """Number of rows whose largest output is that of the label; None if that means nothing."""
    return F.accuracy(output, labels) if output.ndim == 2 else None


def model_device(model: Any) -> Device | None:
    """Where the parameters of a model live."""
    for parameter in model.parameters():
        return parameter.device
    return None


def make_loader(model: Any, data: Any, batch_size: int, **options: Any) -> DataLoader:
    """The loader itself, or one for a data set, on the device of the model."""
    if isinstance(data, DataLoader):
        return data
    return DataLoader(data, batch_size, device=model_device(model), **options)


@contextlib.contextmanager
def inference_mode(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients, and each layer back to its mode before."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training
