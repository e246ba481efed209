"""``DataLoader``: batches of a data set as tensors, in an order that a seed decides."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, DataError
from ..kernels.engine import Array, Device, array, default_device
from ..kernels.engine.device import device as find_device
from ..tensor import Tensor
from .augment import Augmentation
from .dataset import ArrayDataset
from .prefetch import prefetch

Batches = Generator[tuple[np.ndarray, np.ndarray], None, None]


class Dataset(Protocol):
    """What a :class:`DataLoader` reads: items ``(input, class number)`` by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> tuple[Any, Any]: ...


class DataLoader:
    """Iterates over a data set in batches ``(x, y)`` of tensors.

    The order of an epoch, the shifts and the augmentation depend on ``(seed, epoch)`` alone, so
    that training can stop anywhere and continue with the very batches it would have seen. A pass
    that runs to its end moves on to the next epoch; one that is broken off is begun anew by the
    next, unless :meth:`set_epoch` or :meth:`load_state_dict` say where to go on.

    Args:
        dataset: an :class:`ArrayDataset`, a pair of arrays (x, y), or any object with ``len()``
            and ``[i] -> (input, class number)``.
        batch_size: items per batch; the last one may be smaller.
        shuffle: draw a new order for every epoch.
        seed: decides the orders and shifts.
        drop_last: leave out a last batch that is smaller than the others.
        device: where the batches go; default: the default device.
        shift: move each image by up to this many pixels in both directions, at random, filling
            with 0: more varied training data at next to no cost. For images (C, H, W) only.
        augment: changes each batch at random, see :mod:`nnlite.data.augment`.
        prefetch: batches that a thread makes ready ahead of their use; 0 makes each when it is
            asked for. The batches are the same. It pays where making one takes long and leaves
            Python's lock alone, as reading files does. For a small network on arrays in memory it
            costs: on a CPU an epoch took 1.4 to 2 times as much (``python -m bench.prefetch``).
        pin_memory: with ``prefetch`` on a GPU, copy the batches ahead as well: from pinned memory,
            beside the work that the GPU does.

    Attributes:
        epoch: number of the epoch that the next pass runs.
        batch: number of batches given out in the running pass; 0 between passes.

    Shape: x (batch, ...) float32; y (batch,) int64.

    Raises:
        ArgumentError: batch_size < 1, seed or prefetch < 0, or a shift for data that is no images.

    Example:
        >>> for x, y in DataLoader(data.train, batch_size=64, shuffle=True):
        ...     loss = F.cross_entropy(model(x), y)
    """

    def __init__(
        self,
        dataset: Dataset | tuple[Any, Any],
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        device: Device | str | None = None,
        shift: int = 0,
        augment: Augmentation | None = None,
        prefetch: int = 0,
        pin_memory: bool = True,
    ) -> None:
        if isinstance(dataset, tuple):
            dataset = ArrayDataset(*dataset)
        numbers = (("batch_size", batch_size, 1), ("seed", seed, 0), ("prefetch", prefetch, 0))
        for name, value, low in numbers:
            if not isinstance(value, (int, np.integer)) or value < low:
                raise ArgumentError(f"DataLoader: {name}: {value!r} given, expected {low} or more")
        self.dataset = dataset
        self.batch_size, self.shuffle, self.seed = int(batch_size), shuffle, int(seed)
        self.drop_last, self.shift, self.augment = drop_last, shift, augment
        self.prefetch, self.pin_memory = int(prefetch), bool(pin_memory)
        self.device = default_device() if device is None else find_device(device)
        self.epoch = self.batch = self._start = 0
        self._windows = _shift_windows(dataset, shift) if shift else None

    def __len__(self) -> int:
        """Number of batches of a whole epoch."""
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    @property
    def items(self) -> int:
        """Number of items of a whole epoch."""
        n = len(self.dataset)
        return n - n % self.batch_size if self.drop_last else n

    def set_epoch(self, epoch: int, batch: int = 0) -> None:
        """Make the next pass that of ``epoch``, starting with its batch number ``batch``."""
        if epoch < 0 or not 0 <= batch <= len(self):
            raise ArgumentError(
                f"set_epoch: epoch {epoch}, batch {batch} given, "
                f"expected epoch >= 0 and batch from 0 to {len(self)}"
            )
        self.epoch, self.batch, self._start = epoch, batch, batch

    def state_dict(self) -> dict[str, int]:
        """Seed and position; inside a pass, that of the batch after the one last given out."""
        return {"seed": self.seed, "epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.seed = int(state["seed"])
        self.set_epoch(int(state["epoch"]), int(state["batch"]))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        start, self._start = self._start, 0
        make = functools.partial(self._batches, self.seed, self.epoch, start)
        with contextlib.closing(self._ready(make)) as batches:
            for number, batch in enumerate(batches, start + 1):
                self.batch = number
                yield batch
        self.epoch, self.batch = self.epoch + 1, 0

    def _ready(self, make: Callable[[], Batches]) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The batches as tensors, made ahead if asked for."""
        if self.prefetch and self.pin_memory and not self.device.is_cpu:
            yield from self._uploaded(make)
            return
        with contextlib.closing(prefetch(make, self.prefetch) if self.prefetch else make()) as made:
            for x, y in made:
                yield _tensor(x, self.device), _tensor(y, self.device)

    def _uploaded(
        self, make: Callable[[], Batches]
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The batches, copied to the GPU as they are made."""
        from ..kernels.engine.gpu.upload import Uploader

        uploader = Uploader(self.device, self.prefetch)
        sent = prefetch(lambda: map(uploader.send, make()), self.prefetch, uploader.close)
        with contextlib.closing(sent):
            for item in sent:
                x, y = map(Tensor, uploader.receive(item))
                yield x, y

    def _batches(self, seed: int, epoch: int, start: int) -> Batches:
        """The batches of an epoch on the host, from number ``start`` on."""
        rng = np.random.default_rng([seed, epoch])
        n, size = len(self.dataset), self.batch_size
        order = rng.permutation(n) if self.shuffle else None
        moves = rng.integers(0, 2 * self.shift + 1, (2, n)) if self.shift else None
        for batch in range(start, len(self)):
            part = slice(batch * size, min((batch + 1) * size, n))
            x, y = self._take(part if order is None else order[part], part, moves)
            if self.augment is not None:  # with a generator of its own: batches can be skipped
                x = self.augment(x, np.random.default_rng([seed, epoch, batch]))
            yield x, y

    def _take(
        self, index: Any, part: slice, moves: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of a batch, on the host."""
        data = self.dataset
        if not isinstance(data, ArrayDataset):
            numbers = range(len(data))[index] if isinstance(index, slice) else index
            items = [_pair(data, int(i)) for i in numbers]
            x = np.stack([np.asarray(item[0], np.float32) for item in items])
            return x, np.array([item[1] for item in items], np.int64)
        if self._windows is None or moves is None:
            x = data.x[index]
        else:
            numbers = np.arange(part.start, part.stop) if isinstance(index, slice) else index
            x = self._windows[numbers, :, moves[0, part], moves[1, part]]
        labels = data.y[index]  # a slice is a view: a batch must not share the data's memory
        return data.transform(x), labels.copy() if isinstance(index, slice) else labels


def _pair(data: Dataset, i: int) -> tuple[Any, Any]:
    """Input and class number of one item."""
    item = data[i]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(
            f"DataLoader: dataset[{i}] is of type {type(item).__name__}, expected a pair (input, "
            "class number); arrays of all inputs and all labels are given as a tuple (x, y)"
        )
    return item[0], item[1]


def _shift_windows(dataset: Any, shift: int) -> np.ndarray:
    """View (N, C, 2s+1, 2s+1, H, W): every image at each of its shifts, over a padded copy."""
    if shift < 0 or not isinstance(dataset, ArrayDataset) or dataset.x.ndim != 4:
        shape = getattr(dataset, "input_shape", "unknown")
        raise ArgumentError(
            f"DataLoader: shift: {shift} given for inputs of shape {shape}, "
            "expected 0 or more pixels, and images (C, H, W) in an ArrayDataset"
        )
    height, width = dataset.x.shape[2:]
    padded = np.pad(dataset.x, ((0, 0), (0, 0), (shift, shift), (shift, shift)))
    return np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))


def _tensor(x: np.ndarray, device: Device) -> Tensor:
    """A tensor of a batch; on the CPU it takes the memory over instead of copying it."""
    if device.is_cpu:
        return Tensor(Array(np.ascontiguousarray(x)))
    return Tensor(array(x, device=device))
