import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.data import open_dataset
from minidl.data.list_file import parse_list
from minidl.errors import DataError
from tests.data.make import pixels, png, write


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(["a.png", "b c.png", "sub/d#1.png", 'e"f.png', "g.png", "h.png"]):
        write(tmp_path / name, png(pixels(3, 4, 3, seed=i)))
    return tmp_path


def both(path):
    """Both parts of the stable split together, as {name: class}."""
    found = {}
    for split in ("train", "test"):
        dataset = open_dataset(path, split)
        found |= {n: dataset.classes[k] for n, k in zip(dataset.names, dataset.labels)}
    return found


def test_names_quotes_spaces_comments(folder):
    text = (
        '\ufeff# a comment\r\n\r\n  a.png   cat\r\n"b c.png" dog\nsub/d#1.png\tcat\n'
        'e"f.png dog\nb c.png "guinea pig"\ng.png "guinea pig"\n'
    )
    entries = parse_list(text.encode(), "list")
    assert entries == [
        (3, "a.png", "cat"), (4, "b c.png", "dog"), (5, "sub/d#1.png", "cat"),
        (6, 'e"f.png', "dog"), (7, "b c.png", "guinea pig"), (8, "g.png", "guinea pig"),
    ]  # fmt: skip
    path = write(folder / "pictures.lst", text)
    assert both(path)["sub/d#1.png"] == "cat"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(categories=["L", "N", "Zs"], include_characters="/._-#"), min_size=1
            ),
            st.text(st.characters(categories=["L", "N"]), min_size=1),
        )
    )
)
def test_quoted_paths_come_back(entries):
    entries = [(path, label) for path, label in entries if not path.isspace()]
    text = "\n".join(f'"{path}" {label}' for path, label in entries)
    assert [(p, k) for _, p, k in parse_list(text.encode(), "list")] == entries


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_list_or_a_data_error(content):
    try:
        for line, path, label in parse_list(content, "list"):
            assert line > 0 and label and isinstance(path, str)
    except DataError as error:
        assert "list" in str(error)


def test_numbers_and_class_names(folder):
    path = write(folder / "list.txt", "a.png 1\nb c.png 0\ng.png 0\nh.png 1\n")
    assert both(path) == {"a.png": "1", "b c.png": "0", "g.png": "0", "h.png": "1"}
    write(folder / "classes.txt", "cat\n\ndog\n")
    assert both(path) == {"a.png": "dog", "b c.png": "cat", "g.png": "cat", "h.png": "dog"}
    path = write(folder / "list.txt", "a.png dog\nb c.png cat\ng.png dog\nh.png cat")
    assert both(path)["a.png"] == "dog"


def test_train_and_test_lists(folder):
    write(folder / "my_train.txt", "a.png x\nb c.png y\n")
    write(folder / "my_test.txt", "g.png y\n")
    for name in ("my_train.txt", "my_test.txt"):
        train, test = open_dataset(folder / name, "train"), open_dataset(folder / name, "test")
        assert train.names == ["a.png", "b c.png"]
        assert test.names == ["g.png"] and test.labels.tolist() == [1]
        assert test.classes == ["x", "y"]
    np.testing.assert_array_equal(test[0][0], pixels(3, 4, 3, seed=4))


def test_a_list_inside_of_a_folder(folder):
    write(folder / "train.txt", "a.png x\nb c.png y\n")
    write(folder / "test.txt", "g.png y\n")
    assert open_dataset(folder, "test").names == ["g.png"]


BAD = {
    "empty": ("# nothing\n", "the list is empty"),
    "one word": ("a.png cat\nb.png\n", "line 2 is not `path label`"),
    "endless line": ("a" + " " * 1_000_000 + "\n", "line 1 is not"),
    "endless word": ("a.png x" + " x" * 500_000 + '"\n', "line 1 is not"),
    "open quote": ('"a.png cat\n', "missing picture"),
    "missing": ("a.png x\nz.png x\n", "line 2 of the list names a missing picture"),
    "mixed labels": ("a.png 0\ng.png cat\n", "all names or all numbers"),
    "gap": ("a.png 0\ng.png 0\nh.png 2\n", "a class has no pictures"),
    "negative": ("a.png 0\ng.png -1\n", "label out of range 0 to 0"),
    "large": ("a.png 0\ng.png 999999999\n", "label out of range 0 to 1"),
    "latin1": (b"a.png caf\xe9\n", "not UTF-8"),
    "picture": (png(pixels(3, 3, 3)), "not UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case, folder):
    content, says = BAD[case]
    path = write(folder / "bad.txt", content)
    with pytest.raises(DataError) as caught:
        open_dataset(path, "train")
    assert says in str(caught.value) and "bad.txt" in str(caught.value)


def test_refuses_labels_without_a_class(folder):
    write(folder / "classes.txt", "cat\ndog\n")
    path = write(folder / "list.txt", "a.png 0\ng.png 2\nh.png 1\n")
    with pytest.raises(DataError, match="out of range 0 to 1"):
        open_dataset(path, "train")
    write(folder / "list.txt", "a.png cat\ng.png fox\n")
    with pytest.raises(DataError, match="does not occur"):
        open_dataset(path, "train")
    write(folder / "list.txt", "a.png cat\ng.png cat\n")
    with pytest.raises(DataError, match="no pictures"):
        open_dataset(path, "train")


def test_refuses_a_class_only_in_the_test_list(folder):
    write(folder / "train.txt", "a.png x\n")
    write(folder / "test.txt", "g.png y\n")
    with pytest.raises(DataError) as caught:
        open_dataset(folder / "train.txt", "test")
    assert "'y'" in str(caught.value) and "test.txt" in str(caught.value)
