"""DataLoader: batches of Tensors from a data set, prepared ahead by threads.

What is in batch number b of epoch e depends on (seed, e, b) alone: the order is a permutation
drawn from (seed, epoch), and the augmentation of item i draws numbers that are a function of
(seed, epoch, i). Threads only decide when a batch is prepared, never what it contains.

    main thread     wait for batch b ──────► train on it ─────► wait for batch b + 1 ...
    threads         prepare b, b + 1, ..., b + workers          (never more: memory is bounded)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from minidl.data.dataset import ArrayDataset, Dataset, Subset, check_dataset
from minidl.data.transform import Compose, ToFloat, Transform, check_bytes
from minidl.errors import ArgumentError, DataError
from minidl.shapes import check_flag
from minidl.tensor import Tensor

# First word of a seed: what the numbers are for. NumPy gives [s, e] and [s, e, 0] one stream.
ORDER, AUGMENTATION = 1, 2


class DataLoader:
    """Iterate over a data set in batches: (x, labels), both Tensors.

    One `for` loop is one epoch. The memory of x is channels-last behind its (N, C, H, W).

    minidl.fit takes batches of other structures, too, from any object with this class's __iter__
    and __len__. Where it also has state_dict and load_state_dict, a resumed run goes on at the
    right batch at once, instead of reading all before it again.

    Args:
        dataset: a Dataset, or anything with a length and items (uint8 (H, W, C), int).
        batch_size: images in a batch; the last one may be smaller.
        transform: image -> float32 (C, H, W), see minidl.data.transforms; None means ToFloat().
        shuffle: another random order in each epoch.
        seed: of order and augmentation, an int >= 0.
        num_workers: threads that prepare batches ahead; 0 prepares in the calling thread.
        drop_last: leave out a last batch that is smaller.

    Attributes:
        epoch: number of complete iterations so far; it decides the order of the next one.

    Raises:
        ArgumentError: an argument is out of range.
        DataError: the data set is empty, or (in a loop) a picture is damaged or sizes differ.

    >>> digits = minidl.data.open_dataset("digits", "test")
    >>> x, labels = next(iter(minidl.data.DataLoader(digits, batch_size=64)))
    >>> x.shape, labels.shape
    ((64, 1, 32, 32), (64,))
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        transform: Transform | None = None,
        shuffle: bool = False,
        seed: int = 0,
        num_workers: int = 1,
        drop_last: bool = False,
    ):
        check_int("batch_size", batch_size, 1)
        check_int("seed", seed, 0)
        check_int("num_workers", num_workers, 0)
        check_flag("DataLoader", "shuffle", shuffle)
        check_flag("DataLoader", "drop_last", drop_last)
        if transform is not None and not isinstance(transform, Transform):
            raise ArgumentError(
                "DataLoader", "transform is a Transform", {"transform": transform},
                "several: minidl.data.transforms.Compose([...])",
            )  # fmt: skip
        check_dataset("DataLoader", dataset)
        if len(dataset) == 0:
            raise DataError("DataLoader", "the data set is empty", {"dataset": dataset})
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.transform = transform
        self.shuffle = bool(shuffle)
        self.seed = int(seed)
        self.num_workers = int(num_workers)
        self.drop_last = bool(drop_last)
        self.epoch = 0
        self.handed_out = 0  # batches of this epoch
        self.start = 0  # where the next iteration begins: after load_state_dict not at 0
        self.last_order: tuple[list[int], np.ndarray] | None = None  # seed and permutation
        if len(self) == 0:
            raise ArgumentError(
                "DataLoader", "drop_last leaves no batch",
                {"images": len(dataset), "batch_size": batch_size}, "use a smaller batch_size",
            )  # fmt: skip
        self.steps, self.end = split_pipeline(transform)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.handed_out, self.start = self.start, 0
        for x, labels in self.prepare_ahead(range(self.handed_out, len(self))):
            self.handed_out += 1  # before the batch is used: a state saved then goes on after it
            yield x, labels
        self.epoch += 1
        self.handed_out = 0

    def batch(self, epoch: int, b: int) -> tuple[Any, Any]:
        """Batch number b of an epoch, both counted from 0: the one that iteration gives then.

        It is prepared in the calling thread, and the position of the iteration stays.

        Raises:
            ArgumentError: there is no such batch.

        >>> digits = minidl.data.open_dataset("digits", "test")
        >>> loader = minidl.data.DataLoader(digits, batch_size=64, shuffle=True)
        >>> bool((loader.batch(0, 0)[1] == next(iter(loader))[1]).all())
        True
        """
        check_int("epoch", epoch, 0)
        check_int("b", b, 0)
        if b >= len(self):
            raise ArgumentError("DataLoader", f"an epoch has {len(self)} batches", {"b": b})
        return self.prepare(self.indices(epoch, b), epoch)

    def indices(self, epoch: int, b: int) -> np.ndarray:
        """Which items of the data set are in a batch."""
        return self.order(epoch)[b * self.batch_size : (b + 1) * self.batch_size]

    def order(self, epoch: int) -> np.ndarray:
        """Indices into the data set in an epoch's order, int64 (N,)."""
        n = len(self.dataset)
        if not self.shuffle:
            return np.arange(n)
        key = [ORDER, self.seed, epoch]
        known = self.last_order  # read once: other threads may ask for other epochs
        if known is None or known[0] != key:
            known = self.last_order = key, np.random.default_rng(key).permutation(n)
        return known[1]

    def prepare_ahead(self, numbers: range) -> Iterator[tuple[Tensor, Tensor]]:
        """Prepared batches in order; threads work on up to num_workers ahead of the one in use."""
        epoch = self.epoch
        batches = (self.indices(epoch, b) for b in numbers)
        if self.num_workers == 0:
            for indices in batches:
                yield self.prepare(indices, epoch)
            return
        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="minidl-loader")
        waiting: deque = deque()
        try:
            for indices in batches:
                waiting.append(pool.submit(self.prepare, indices, epoch))
                if len(waiting) > self.num_workers:
                    yield waiting.popleft().result()  # raises here what a thread raised
            while waiting:
                yield waiting.popleft().result()
        finally:  # the end, an error, Ctrl-C, or the loop was left: no thread stays behind
            pool.shutdown(wait=True, cancel_futures=True)

    # --- one batch ------------------------------------------------------------------------------

    def prepare(self, indices: np.ndarray, epoch: int) -> tuple[Any, Any]:
        """The batch of these items; that of a subclass may be of another structure."""
        if not self.steps.transforms and in_memory(self.dataset):
            images, labels = gather(self.dataset, indices)
        else:
            random = ItemRandom(self.seed, epoch) if self.steps.random else None
            items = [self.item(int(i), random) for i in indices]
            images = stack([image for image, _ in items], self.dataset, indices)
            labels = np.array([label for _, label in items], np.int64)
        if self.end is not None:
            images = look_up(self.end, images)
        return Tensor(images.transpose(0, 3, 1, 2)), Tensor(labels)

    def item(self, index: int, random: ItemRandom | None) -> tuple[np.ndarray, int]:
        """One transformed image as (H, W, C), and its label."""
        image, label = as_item(self.dataset[index], index)
        image = self.steps(image, random.at(index) if random else None)
        if self.end is not None:
            check_bytes("DataLoader", image)
            return image, label
        if not isinstance(image, np.ndarray) or image.dtype != np.float32 or image.ndim != 3:
            raise ArgumentError(
                "DataLoader", "transform must return float32 (C, H, W)", {"returned": image},
                "end it with ToFloat()",
            )  # fmt: skip
        return image.transpose(1, 2, 0), label

    # --- position -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, int]:
        """The position: {"epoch": ..., "batch": ...}, batch being the next one of the epoch.

        After the last batch, batch is len(loader) until the loop has ended: from there, the next
        iteration has no batch, and ends the epoch.
        """
        return {"epoch": self.epoch, "batch": self.handed_out}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration go on at a position that state_dict gave.

        It hands out the rest of that epoch's batches, the same ones as without interruption.

        Raises:
            ArgumentError: no such position.
        """
        if not isinstance(state, dict):
            raise ArgumentError("DataLoader", "a position is a dict", {"state": state})
        epoch, batch = state.get("epoch"), state.get("batch")
        check_int("epoch", epoch, 0)
        check_int("batch", batch, 0)
        if batch > len(self):
            raise ArgumentError(
                "DataLoader", f"an epoch has {len(self)} batches", {"batch": batch},
                "the position belongs to another data set or batch_size",
            )  # fmt: skip
        self.epoch, self.handed_out, self.start = int(epoch), int(batch), int(batch)


class ItemRandom:
    """The random numbers of augmentation: for each item its own, whatever came before.

    Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") computes its numbers
    from a key and a counter. The key comes from (seed, epoch); the top word of the counter is the
    item's index, so no two items share a number. Going to an item costs 2 microseconds, where a
    new generator would cost 30.
    """

    def __init__(self, seed: int, epoch: int):
        key = np.random.SeedSequence([AUGMENTATION, seed, epoch]).generate_state(2, np.uint64)
        self.philox = np.random.Philox(key=key)
        self.fresh = self.philox.state
        self.generator = np.random.Generator(self.philox)

    def at(self, index: int) -> np.random.Generator:
        """The generator at the first number of an item."""
        self.fresh["state"]["counter"][3] = index
        self.philox.state = self.fresh
        return self.generator


def split_pipeline(transform: Transform | None) -> tuple[Compose, Compose | None]:
    """A pipeline as (steps for one image at a time, end for a whole batch at once).

    ToFloat and what follows it usually map each byte to a float whatever its neighbours are. Such
    an end is computed for the bytes 0 to 255 and looked up for a batch (look_up): the same
    values, bit for bit, at memory speed. None where the pipeline has no such end.
    """
    steps = Compose([ToFloat() if transform is None else transform]).transforms
    cut = next((i for i, step in enumerate(steps) if isinstance(step, ToFloat)), len(steps))
    end = Compose(steps[cut:])
    if not end.transforms or not all(step.elementwise for step in end.transforms):
        return Compose(steps), None
    return Compose(steps[:cut]), end


def look_up(end: Compose, images: np.ndarray) -> np.ndarray:
    """What `end` makes of uint8 images (N, H, W, C): float32 of the same shape."""
    C = images.shape[3]
    every_byte = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], C, axis=2)
    table = end(every_byte)[:, :, 0]  # (C, 256)
    if C == 1:
        return table[0].take(images)
    y = np.empty(images.shape, np.float32)
    for c in range(C):
        y[..., c] = table[c].take(images[..., c])
    return y


def as_item(item: Any, index: int) -> tuple[np.ndarray, int]:
    """What a data set of somebody else gave, if it is (image, label).

    Raises:
        DataError
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError("DataLoader", f"item {index} is no (image, label)", {"item": item})
    if not isinstance(item[1], int | np.integer):
        raise DataError("DataLoader", f"the label of item {index} is no int", {"label": item[1]})
    return item[0], item[1]


def in_memory(dataset: Any) -> bool:
    """Whether the images are one array, directly or through Subsets."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return isinstance(dataset, ArrayDataset)


def gather(dataset: Any, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of some items, from an in-memory data set at once."""
    while isinstance(dataset, Subset):
        dataset, indices = dataset.dataset, dataset.indices[indices]
    return dataset.images[indices], dataset.labels[indices]


def stack(images: list[np.ndarray], dataset: Any, indices: np.ndarray) -> np.ndarray:
    """Images (H, W, C) as one array (N, H, W, C).

    Raises:
        DataError: their sizes differ; names the first that differs.
    """
    for image, index in zip(images, indices):
        if image.shape != images[0].shape:
            names = getattr(dataset, "names", None)
            raise DataError(
                "DataLoader", "images of one batch differ in size",
                {
                    "first": images[0].shape,
                    "other": image.shape,
                    "name": names[index] if names else f"number {index}",
                },
                "end the geometry with Resize((H, W)), or Resize(S) and CenterCrop(S)",
            )  # fmt: skip
    return np.stack(images)


def check_int(name: str, value: Any, minimum: int) -> None:
    """value is an int >= minimum.

    Raises:
        ArgumentError
    """
    is_int = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_int or value < minimum:
        raise ArgumentError("DataLoader", f"{name} is an int >= {minimum}", {name: value})
