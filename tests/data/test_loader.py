import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minidl.data import ArrayDataset, DataLoader, Dataset, Subset, load_digits, transforms
from minidl.data.loader import ItemRandom
from minidl.errors import ArgumentError, DataError, MinidlError
from tests.data.make import pixels

T = transforms
AUGMENT = T.Compose(
    [
        T.RandomCrop((6, 5), padding=1), T.RandomHorizontalFlip(),
        T.ColorJitter(0.5, 0.5, 0.5, 0.2), T.ToFloat(), T.PCALighting(),
        T.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]),
    ]
)  # fmt: skip


def colours(n=23, channels=3):
    return ArrayDataset(pixels(n, 6, 7, channels), np.arange(n) % 4, list("abcd"))


class Decoding(Dataset):
    """The same items, but not as one array: made one by one, as decoded pictures are."""

    def __init__(self, dataset):
        self.dataset, self.classes = dataset, dataset.classes

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.dataset[index]


def epoch(loader):
    return [(x.numpy().copy(), labels.numpy().copy()) for x, labels in loader]


def same(batches, others):
    assert len(batches) == len(others)
    for (x, labels), (x2, labels2) in zip(batches, others):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(labels, labels2)


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("minidl-loader")]


def test_batches_and_memory_layout():
    dataset = colours()
    batches = list(DataLoader(dataset, 5))
    assert [x.shape for x, _ in batches] == [(5, 3, 6, 7)] * 4 + [(3, 3, 6, 7)]
    x, labels = batches[1]
    assert (x.dtype, labels.dtype, labels.tolist()) == (np.float32, np.int64, [1, 2, 3, 0, 1])
    expected = dataset.images[5:10].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(x.numpy(), expected)
    assert x.data.transpose(0, 2, 3, 1).flags.c_contiguous  # channels last


def test_drop_last():
    loader = DataLoader(colours(), 5, drop_last=True)
    assert len(loader) == 4 == len(list(loader))
    assert len(DataLoader(colours(20), 5, drop_last=True)) == 4


@pytest.mark.parametrize("transform", [None, AUGMENT], ids=["plain", "augmented"])
@pytest.mark.parametrize("wrap", [colours, lambda: Decoding(colours())], ids=["array", "items"])
def test_threads_do_not_change_anything(wrap, transform):
    loaders = [
        DataLoader(wrap(), 4, transform, shuffle=True, seed=3, num_workers=n) for n in (0, 1, 4)
    ]
    for _ in range(2):
        first, *others = [epoch(loader) for loader in loaders]
        for other in others:
            same(first, other)


@pytest.mark.parametrize("channels", [1, 3])
def test_fast_path_equals_the_transforms_bit_for_bit(channels):
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(channels, 3)
    dataset = ArrayDataset(values, [0], ["a"])
    end = T.Compose(
        [T.ToFloat(), T.Normalize([0.1307, 0.5, 0.2][:channels], [0.3081, 0.7, 1][:channels])]
    )
    x, _ = next(iter(DataLoader(dataset, 1, end)))
    np.testing.assert_array_equal(x.numpy()[0], end(dataset[0][0]))
    x, _ = next(iter(DataLoader(Decoding(dataset), 1, end)))
    np.testing.assert_array_equal(x.numpy()[0], end(dataset[0][0]))


def test_subset_takes_the_fast_path_with_the_right_items():
    dataset = Subset(colours(), [9, 3, 20])
    ((x, labels),) = DataLoader(dataset, 5)
    np.testing.assert_array_equal(x.numpy()[1], T.ToFloat()(dataset[1][0]))
    assert labels.tolist() == [1, 3, 0]


def test_every_epoch_has_another_order_of_the_same_items():
    dataset = ArrayDataset(pixels(40, 2, 2), np.arange(40), [str(i) for i in range(40)])
    loader = DataLoader(dataset, 7, shuffle=True, seed=5)
    orders = [np.concatenate([labels for _, labels in epoch(loader)]) for _ in range(2)]
    assert loader.epoch == 2
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(40))
    assert (orders[0] != orders[1]).any() and (orders[0] != np.arange(40)).any()
    other = np.concatenate([labels for _, labels in DataLoader(dataset, 7, shuffle=True, seed=6)])
    assert (other != orders[0]).any()


def test_augmentation_depends_on_seed_epoch_and_index_only():
    transform = T.Compose([T.RandomCrop(2), T.ToFloat()])
    image = pixels(1, 30, 30, 1)
    dataset = ArrayDataset(np.repeat(image, 8, 0), range(8), list("abcdefgh"))
    loader = DataLoader(dataset, 8, transform)
    ((first, _),) = epoch(loader)
    ((second, _),) = epoch(loader)
    assert len(np.unique(first.reshape(8, -1), axis=0)) == 8  # items differ
    assert (first != second).reshape(8, -1).any(1).all()  # epochs differ
    shuffled = DataLoader(dataset, 3, transform, shuffle=True, num_workers=2)
    for x, labels in epoch(shuffled):
        np.testing.assert_array_equal(x, first[labels])  # neither order nor batch matters


def test_item_random_starts_afresh_at_each_item():
    def draw(random, index):
        rng = random.at(index)
        rng.integers(5)  # leaves half of a 64-bit number behind
        return [rng.random(), rng.normal(), rng.integers(1000)]

    one, other = ItemRandom(3, 7), ItemRandom(3, 7)
    forward = [draw(one, i) for i in range(50)]
    backward = [draw(other, i) for i in reversed(range(50))][::-1]
    assert forward == backward
    first = np.array([row[0] for row in forward])
    assert len(np.unique(first)) == 50 and abs(first.mean() - 0.5) < 0.2
    for seed, epoch in ((3, 8), (4, 7), (2**63 - 1, 7)):
        assert draw(ItemRandom(seed, epoch), 0) != forward[0]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_an_interrupted_epoch_goes_on_at_the_next_batch(stop, workers):
    def make():
        return DataLoader(colours(), 4, AUGMENT, shuffle=True, seed=1, num_workers=workers)

    whole = make()
    expected = epoch(whole) + epoch(whole)
    interrupted = make()
    for step, _ in enumerate(interrupted, start=1):
        if step == stop:
            state = interrupted.state_dict()  # as a checkpoint does, within the loop
            break
    assert state == {"epoch": 0, "batch": stop}
    assert interrupted.state_dict() == state  # and after it was left
    resumed = make()
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    same(epoch(resumed) + epoch(resumed), expected[stop:])
    assert resumed.state_dict() == {"epoch": 2, "batch": 0}


def test_leaving_a_loop_starts_the_epoch_again():
    loader = DataLoader(colours(), 4, shuffle=True)
    first = next(iter(loader))[1].tolist()
    assert next(iter(loader))[1].tolist() == first and loader.epoch == 0


def test_a_position_must_exist():
    loader = DataLoader(colours(), 4)
    for state in ({"epoch": 0, "batch": 7}, {"epoch": -1, "batch": 0}, {"epoch": 0}, {}):
        with pytest.raises(ArgumentError):
            loader.load_state_dict(state)
    loader.load_state_dict({"epoch": 4, "batch": 6})  # interrupted after the last batch
    assert epoch(loader) == [] and loader.epoch == 5


class Breaks(Dataset):
    classes = ["a"]

    def __init__(self, at, error):
        self.at, self.error = at, error

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index == self.at:
            raise self.error
        return pixels(2, 2, 1), 0


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize(
    "error", [DataError("read_picture", "damaged", {"file": "7.jpg"}), KeyError(9)]
)
def test_an_error_in_a_thread_reaches_the_loop(workers, error):
    seen = []
    with pytest.raises(type(error)) as caught:
        for _, labels in DataLoader(Breaks(7, error), 3, num_workers=workers):
            seen.append(len(labels))
    assert caught.value is error and str(caught.value) == str(error)
    assert seen == [3, 3]  # the batches before it arrive
    assert not loader_threads()


def test_leaving_a_loop_leaves_no_threads():
    for _ in DataLoader(colours(), 2, num_workers=4):
        assert loader_threads()
        break
    gc.collect()
    assert not loader_threads()
    with pytest.raises(KeyboardInterrupt):
        for _ in DataLoader(colours(), 2, num_workers=4):
            raise KeyboardInterrupt
    assert not loader_threads()


SLOW_LOOP = """
import time
from minidl.data import DataLoader, Dataset
import numpy as np

class Slow(Dataset):
    classes = ["a"]
    def __len__(self):
        return 1000
    def __getitem__(self, index):
        time.sleep(0.05)
        return np.zeros((2, 2, 1), np.uint8), 0

for step, _ in enumerate(DataLoader(Slow(), 4, num_workers=3)):
    if step == 0:
        print("started", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_the_loop_at_once():
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_LOOP],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert error.rstrip().endswith("KeyboardInterrupt") and process.returncode != 0


def test_no_more_than_asked_is_prepared_ahead():
    class Counting(Decoding):
        count = 0

        def __getitem__(self, index):
            type(self).count += 1
            return super().__getitem__(index)

    iterator = iter(DataLoader(Counting(colours()), 1, num_workers=3))
    next(iterator)
    time.sleep(0.2)
    assert Counting.count == 4  # one in use, three ahead
    iterator.close()


def test_the_state_is_right_while_threads_are_ahead():
    loader = DataLoader(colours(), 2, num_workers=4)
    for step, _ in enumerate(loader, start=1):
        assert loader.handed_out == step


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("dataset", [colours(), Decoding(colours())])
def test_any_batch_can_be_asked_for(dataset, num_workers):
    """In any order, while an iteration goes on elsewhere."""
    options = {"transform": AUGMENT, "shuffle": True, "seed": 5}
    loader = DataLoader(dataset, 5, num_workers=num_workers, **options)
    asked = DataLoader(dataset, 5, **options)
    found = {(e, b): asked.batch(e, b) for e in (1, 0) for b in (4, 0, 2, 1, 3)}
    for e in range(2):
        mine = [tuple(x.numpy().copy() for x in found[e, b]) for b in range(len(loader))]
        same(mine, epoch(loader))
    assert asked.state_dict() == {"epoch": 0, "batch": 0}
    with pytest.raises(ArgumentError, match="an epoch has 5 batches"):
        asked.batch(0, 5)


def test_asking_for_a_batch_leaves_the_iteration_alone():
    loader = DataLoader(colours(), 5, shuffle=True, seed=1, num_workers=1)
    expected, found = epoch(loader), []
    loader = DataLoader(colours(), 5, shuffle=True, seed=1, num_workers=1)
    for x, labels in loader:
        found.append((x.numpy().copy(), labels.numpy().copy()))
        loader.batch(7, 3)
    same(found, expected)


def test_different_sizes_are_named():
    class Ragged(Decoding):
        names = [f"{i}.jpg" for i in range(9)]

        def __getitem__(self, index):
            return pixels(5, 4 + (index == 4), 3), 0

    with pytest.raises(DataError) as caught:
        list(DataLoader(Ragged(colours(9)), 3))
    for text in ("differ in size", "4.jpg", "(5, 5, 3)", "Resize"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"batch_size": 0}, "batch_size is an int >= 1"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 4, "num_workers": -1}, "num_workers is an int >= 0"),
        ({"batch_size": 4, "seed": -1}, "seed"),
        ({"batch_size": 4, "transform": [T.ToFloat()]}, "Compose"),
        ({"batch_size": 24, "drop_last": True}, "no batch"),
    ],
)
def test_refuses(options, says):
    with pytest.raises(ArgumentError) as caught:
        DataLoader(colours(), **options)
    assert says in str(caught.value)


def test_refuses_an_empty_dataset_and_a_pipeline_without_floats():
    with pytest.raises(DataError, match="empty"):
        DataLoader(ArrayDataset(pixels(0, 2, 2), np.zeros(0, int), ["a"]), 4)
    with pytest.raises(ArgumentError, match="ToFloat"):
        list(DataLoader(colours(), 4, T.CenterCrop(3)))
    with pytest.raises(MinidlError, match="has 3"):
        list(DataLoader(colours(), 4, T.Compose([T.ToFloat(), T.Normalize([0.1] * 2, [1] * 2)])))


def test_speed_of_arrays():
    """A batch of arrays is prepared as one array, near the time of NumPy doing the same."""
    images = pixels(20_000, 28, 28)
    loader = DataLoader(
        ArrayDataset(images, np.zeros(20_000, int), ["a"]), 64,
        T.Compose([T.ToFloat(), T.Normalize([0.13], [0.31])]), shuffle=True, num_workers=0,
    )  # fmt: skip
    order = np.random.default_rng(0).permutation(20_000)

    def plain():
        for first in range(0, 20_000, 64):
            yield (images[order[first : first + 64]].astype(np.float32) / 255 - 0.13) / 0.31

    ratios = [timed(loader) / timed(plain()) for _ in range(7)]
    assert np.median(ratios) < 10  # about 2; batches of one picture take 30 times as long


def timed(batches):
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def test_digits_in_batches():
    x, labels = next(iter(DataLoader(load_digits("test"), 64)))
    assert x.shape == (64, 1, 32, 32) and 0 <= x.numpy().min() < x.numpy().max() == 1
    assert labels.shape == (64,)
