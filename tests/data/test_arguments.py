"""Arguments of another type than they should be end with a sentence, wherever they are given."""

import numpy as np
import pytest

import minidl
from minidl import data
from minidl.data import transforms as T
from minidl.errors import MinidlError

digits = data.load_digits("test")
words = data.Vocabulary(["a"])


def load(items, **options):
    return next(iter(data.DataLoader(items, 2, **options)))


MISTAKES = {
    "loader: a name": (lambda: data.DataLoader("mnist", 2), "expects a data set"),
    "loader: nothing": (lambda: data.DataLoader(None, 2), "open_dataset"),
    "loader: items": (lambda: load([1, 2]), "item 0 is no (image, label)"),
    "loader: label": (lambda: load([(digits[0][0], 1.5)] * 2), "label of item 0 is no int"),
    "loader: label text": (lambda: load([(digits[0][0], "cat")] * 2), "'cat'"),
    "loader: image": (lambda: load([(3, 1)] * 2), "uint8"),
    "loader: position": (lambda: data.DataLoader(digits, 2).load_state_dict(3), "is a dict"),
    "subset: data set": (lambda: data.Subset([1, 2], [0]), "expects a data set"),
    "subset: indices": (lambda: data.Subset(digits, "0"), "indices are integers"),
    "subset: fractions": (lambda: data.Subset(digits, [0.5]), "indices are integers"),
    "array: classes": (
        lambda: data.ArrayDataset(digits.images, digits.labels, 10), "classes is a list of texts",
    ),
    "array: names": (
        lambda: data.ArrayDataset(digits.images, digits.labels, digits.classes, "x"),
        "names is a list of texts",
    ),
    "split: data set": (lambda: data.split_dataset(3), "expects a data set"),
    "split: salt": (lambda: data.split_dataset(digits, 0.5, 3), "salt is a text"),
    "statistics": (lambda: data.channel_statistics(3), "expects a data set"),
    "picture": (lambda: data.read_picture(3), "path is a path"),
    "idx": (lambda: data.read_idx(None), "path is a path"),
    "data_dir": (lambda: data.open_dataset("mnist", data_dir=1.5), "data_dir is a path"),
    "available": (lambda: data.available(1.5), "data_dir is a path"),
    "fetch": (lambda: data.fetch([]), "no such data set"),
    "steps": (lambda: T.Compose(3), "expects a list of steps"),
    "vocabulary": (lambda: data.Vocabulary(3), "words is a list"),
    "texts": (lambda: data.Vocabulary.build(3), "texts is a list"),
    "text": (lambda: data.Vocabulary.build([3]), "a text is a list"),
    "encode": (lambda: words.encode(3), "words is a list"),
    "decode": (lambda: words.decode(3), "numbers is a list"),
    "decode text": (lambda: words.decode(["x"]), "numbers are ints"),
    "sequences": (lambda: data.pad_sequences(3), "sequences is a list"),
    "sequence": (lambda: data.pad_sequences([3]), "a sequence is a list"),
    "value": (lambda: data.pad_sequences([[1]], 0.5), "value is an int"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_refuses(mistake):
    call, says = MISTAKES[mistake]
    with pytest.raises(MinidlError) as caught:
        call()
    assert says in str(caught.value)


def test_what_is_nearly_a_list_will_do():
    numbers = [4, 3, 4]
    for given in (tuple(numbers), np.array(numbers), minidl.tensor(numbers), iter(numbers)):
        assert words.decode(given) == ["a"]
    assert data.pad_sequences(iter([[1], [2, 3]]))[0].tolist() == [[1, 0], [2, 3]]
    x, labels = load([(digits[0][0], np.int8(1)), [digits[1][0], 0]])
    assert x.shape == (2, 1, 32, 32) and labels.tolist() == [1, 0]


def test_many_classes_in_two_lists(tmp_path):
    """20,000 classes in two lists: a search through them for each line would take minutes."""
    from PIL import Image

    from minidl.data.list_file import number_labels

    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    lines = "".join(f"a.png c{i}\n" for i in range(20_000))
    (tmp_path / "train.txt").write_text(lines)
    (tmp_path / "test.txt").write_text("a.png c19999\n")
    dataset = data.open_dataset(tmp_path / "test.txt", "test")
    assert dataset[0][1] == dataset.classes.index("c19999")
    entries = [(i, "a.png", f"c{i % 20_000}") for i in range(100_000)]
    classes = [f"c{i}" for i in range(20_000)]
    assert number_labels(entries, classes, "list")[0].tolist() == [
        i % 20_000 for i in range(100_000)
    ]
