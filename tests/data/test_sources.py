import gzip
import hashlib
import time

import pytest

from minidl.data import available, fetch, open_dataset
from minidl.data import sources as sources_module
from minidl.data.fetch import SOURCES, Source
from minidl.errors import ArgumentError, DataError
from tests.data.make import cifar_binary, mnist_files, picture_tree, write, write_tree
from tests.web_server import Server


@pytest.fixture
def server():
    server = Server(mnist_files())
    yield server
    server.close()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def mnist(server, monkeypatch):
    """Let "mnist" be the small one of the server."""

    def use(*mirrors, files=None):
        hashes = {name: sha256(content) for name, content in (files or mnist_files()).items()}
        real = SOURCES["mnist"]
        source = Source("mnist", real.what, 1, mirrors or (server.url,), hashes, real.present)
        monkeypatch.setitem(SOURCES, "mnist", source)

    use()
    return use


REFUSED = "http://127.0.0.1:9/"  # the discard port: nothing listens there

# --- download -------------------------------------------------------------------------------------


def test_download_once(mnist, server, private_cache, capfd):
    train = open_dataset("mnist", "train")
    assert len(train) == 20 and sorted(server.requests) == sorted(mnist_files())
    assert sorted(f.name for f in (private_cache / "mnist").iterdir()) == sorted(mnist_files())
    assert len(open_dataset("mnist", "test")) == 8
    assert len(server.requests) == 4  # nothing is downloaded twice
    assert "Downloading" not in capfd.readouterr().err


def test_fetch_into_a_folder(mnist, tmp_path):
    assert fetch("mnist", tmp_path / "here", progress=False) == tmp_path / "here"
    assert len(open_dataset(tmp_path / "here", "train")) == 20


def test_an_interrupted_download_goes_on(mnist, server, private_cache):
    name = "train-images-idx3-ubyte.gz"
    write(private_cache / "mnist" / name, mnist_files()[name])
    assert len(open_dataset("mnist", "train")) == 20
    assert name not in server.requests


def test_the_next_mirror_is_tried(mnist, server):
    mnist(REFUSED, server.url + "nothing-here/", server.url)
    assert len(open_dataset("mnist", "train")) == 20


def refused(private_cache):
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        open_dataset("mnist", "train")
    assert time.monotonic() - start < 60
    left = private_cache / "mnist"
    assert not left.exists() or not list(left.iterdir())  # nothing half-done stays
    message = str(caught.value)
    assert "train-images-idx3-ubyte.gz" in message and str(private_cache / "mnist") in message
    return message


def test_wrong_content(mnist, server, private_cache):
    server.files = {name: content + b"x" for name, content in mnist_files().items()}
    assert "does not match its SHA-256" in refused(private_cache)


def test_not_found(mnist, server, private_cache):
    server.files = {}
    assert "HTTP status 404" in refused(private_cache)


def test_cut_short(mnist, server, private_cache):
    server.cut = True
    assert "the connection broke off" in refused(private_cache)


def test_no_network(mnist, private_cache):
    mnist(REFUSED)
    message = refused(private_cache)
    assert f"{REFUSED}train-images-idx3-ubyte.gz: no connection" in message
    assert sha256(mnist_files()["train-images-idx3-ubyte.gz"]) in message
    assert "--data-dir" in message


def test_a_cache_that_cannot_be_written(mnist, private_cache):
    write(private_cache, b"a file")
    with pytest.raises(DataError, match="cannot write"):
        open_dataset("mnist", "train")


def test_a_damaged_file_in_the_cache_is_named(mnist, private_cache):
    fetch("mnist")
    write(private_cache / "mnist/train-labels-idx1-ubyte.gz", gzip.compress(b"oops"))
    with pytest.raises(DataError) as caught:
        open_dataset("mnist", "train")
    assert "train-labels-idx1-ubyte.gz" in str(caught.value)
    assert "delete the file" in str(caught.value)


def test_fetch_refuses():
    with pytest.raises(DataError, match="did you mean cifar10?"):
        fetch("cifar-10")
    assert fetch("digits").name == "digits"  # nothing to do


# --- where things are looked for --------------------------------------------------------------


def test_search_order(mnist, server, tmp_path, monkeypatch, private_cache):
    sizes = {
        "flat": 11,
        "named/mnist": 12,
        "variable": 13,
        "variable-named/mnist": 14,
        "system/mnist": 16,
    }
    for folder, n in sizes.items():
        write_tree(tmp_path / folder, mnist_files(n_train=n))
    write_tree(private_cache / "mnist", mnist_files(n_train=15))
    monkeypatch.setattr(sources_module, "SYSTEM_FOLDER", str(tmp_path / "system"))

    def count(data_dir=None):
        return len(open_dataset("mnist", "train", data_dir))

    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "variable"))
    assert count(tmp_path / "flat") == 11
    assert count(str(tmp_path / "named")) == 12
    assert count() == 13
    (tmp_path / "empty").mkdir()
    assert count(tmp_path / "empty") == 13
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "variable-named"))
    assert count() == 14
    monkeypatch.delenv("MINIDL_DATA")
    assert count() == 15
    for file in (private_cache / "mnist").iterdir():
        file.unlink()
    assert count() == 16
    assert server.requests == []


def test_an_incomplete_folder_is_an_error_there(mnist, tmp_path):
    files = mnist_files()
    del files["train-labels-idx1-ubyte.gz"]
    write_tree(tmp_path, files)
    with pytest.raises(DataError, match="train labels is missing"):
        open_dataset("mnist", "train", tmp_path)


def test_fashion_mnist_is_not_taken_for_mnist(mnist, tmp_path):
    write_tree(tmp_path / "fashion-mnist", mnist_files(n_train=17))
    dataset = open_dataset("fashion-mnist", "train", tmp_path / "fashion-mnist")
    assert dataset.classes[9] == "ankle boot" and len(dataset) == 17
    assert len(open_dataset("mnist", "train", tmp_path / "fashion-mnist")) == 20  # downloaded


@pytest.mark.parametrize("place", ["", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_cifar_places(place, tmp_path):
    write_tree(tmp_path / place, cifar_binary())
    assert len(open_dataset("cifar10", "test", tmp_path)) == 6


def test_available(mnist, tmp_path):
    write_tree(tmp_path / "mnist", mnist_files())
    rows = {row["name"]: row for row in available(tmp_path)}
    assert list(rows) == ["digits", "mnist", "fashion-mnist", "cifar10"]
    assert rows["mnist"]["found"] == str(tmp_path / "mnist")
    assert rows["cifar10"]["found"] is None and rows["cifar10"]["size"] == 170_052_171
    assert "scikit-learn" in rows["digits"]["found"]


def test_available_names_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        available(tmp_path / "nowhere")


def test_published_hashes_are_complete():
    for source in SOURCES.values():
        assert bool(source.files) == bool(source.mirrors) == bool(source.size)
        assert all(len(value) == 64 and int(value, 16) for value in source.files.values())
        assert all(mirror.endswith("/") for mirror in source.mirrors)


# --- names and paths that are wrong -----------------------------------------------------------


@pytest.mark.parametrize(
    "name, says",
    [
        ("mnits", "did you mean mnist?"),
        ("MNIST", "did you mean mnist?"),
        ("fashion_mnist", "did you mean fashion-mnist?"),
        ("qqqqq", "one of: cifar10, digits"),
        ("no/such/folder", "no such file or folder"),
        ("pictures.zip", "no such file or folder"),
        ("a/" + 300 * "b", "no such file or folder"),
        ("/dev/zero", "neither a file nor a folder"),
    ],
)
def test_unknown_names(name, says):
    with pytest.raises(DataError) as caught:
        open_dataset(name, "train")
    assert says in str(caught.value)


def test_refuses(tmp_path):
    with pytest.raises(ArgumentError, match='"train" or "test"'):
        open_dataset("digits", "valid")
    for wrong in (None, 3, ""):
        with pytest.raises(ArgumentError, match="a name or a path"):
            open_dataset(wrong)
    with pytest.raises(DataError, match="data folder is not there"):
        open_dataset("mnist", "train", tmp_path / "nowhere")


def test_a_name_wins_over_a_folder_in_the_working_folder(tmp_path, monkeypatch):
    write_tree(tmp_path / "digits", picture_tree(n=2))
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("digits", "train")) == 1442
    assert len(open_dataset("./digits", "train")) == 4
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_dataset("~/digits", "train")) == 4
