"""`minidl onnx export` and `minidl onnx info`."""

import json

import numpy as np
import pytest

import minidl as library
from tests.apps.conftest import NAMES, last_json, minidl


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The file of a trained run, and what the command said."""
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    result = minidl("onnx", "export", trained, path, "--json")
    assert result.exit_code == 0, result.output
    return path, result.output


def test_export_of_a_run(exported, trained):
    path, output = exported
    assert "13 nodes, operator set 18, input batchx1x32x32" in output.replace("3x32", "1x32")
    figures = last_json(output)
    if figures["difference"] is not None:
        assert figures["difference"] < 1e-5
    from apps.shared.trained import load_trained

    net = load_trained(str(trained)).model
    x = np.random.default_rng(0).random((5, net.in_channels, 32, 32), np.float32)
    with library.no_grad():
        expected = net(library.tensor(x)).numpy()
        found = library.io.onnx.load(path)(library.tensor(x)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_file_says_how_to_use_it(exported):
    path, _ = exported
    metadata = library.io.onnx.load(path).graph.metadata
    assert json.loads(metadata["classes"]) == NAMES
    assert metadata["model"] == "lenet"
    steps = library.data.transforms.from_config(json.loads(metadata["preprocessing"]))
    assert steps.transforms
    assert "size" not in metadata or int(metadata["size"]) == 32


def test_info(exported):
    path, _ = exported
    result = minidl("onnx", "info", path, "--json")
    assert result.exit_code == 0
    for text in ("written by minidl", "input   input: float32 (batch,", "output  output: float32",
                 "  Gemm", "model: lenet"):  # fmt: skip
        assert text in result.output
    figures = last_json(result.output)
    assert figures["operators"]["Conv"] == 2 and figures["nodes"] == 13


def test_export_of_a_fresh_network_by_name(tmp_path):
    path = tmp_path / "net.onnx"
    result = minidl("onnx", "export", "resnet20_cifar", path, "--opset", 17, "--size", 40,
                    "--no-dynamic-batch")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "operator set 17, input 1x3x40x40" in result.output
    graph = library.io.onnx.load(path).graph
    assert graph.inputs[0].shape == (1, 3, 40, 40) and graph.opset == 17


def test_a_file_that_computes_something_else_replaces_no_older_one(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    path = tmp_path / "net.onnx"
    assert minidl("onnx", "export", "lenet", path).exit_code == 0
    before = path.read_bytes()
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "run", lambda *args: [y + 1 for y in run(*args)]
    )
    result = minidl("onnx", "export", "lenet", path)
    assert result.exit_code == 2 and "ONNX Runtime gives other scores" in result.output
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "wrong",
    [lambda x: np.clip(x, -9, 9), lambda x: x[:1].repeat(len(x), 0)],
    ids=["for-large-values", "for-several-pictures"],
)
def test_the_file_is_tried_with_other_pictures_than_the_recorded_one(tmp_path, monkeypatch, wrong):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(
        onnxruntime.InferenceSession,
        "run",
        lambda self, names, given: run(self, names, {key: wrong(x) for key, x in given.items()}),
    )
    result = minidl("onnx", "export", "lenet", tmp_path / "net.onnx")
    assert result.exit_code == 2 and "ONNX Runtime gives other scores" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["export", "lenat", "net.onnx"], ["no such run", "did you mean lenet?"]),
        (["export", "lenet", "net.onnx", "--opset", "9"], ["opset is from 17 to 23"]),
        (["export", "lenet", "net.onnx", "--size", "-1"], ["size"]),
        (["export", "lenet", "net.onnx", "--size", "20"], ["LeNet5", "expects pictures"]),
        (["export", "lenet", "nowhere/net.onnx"], ["cannot write the file", "no such file"]),
        (["info", "nothing.onnx"], ["cannot read the file", "no such file"]),
        (["info", "text.onnx"], ["not an ONNX file"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_mistakes(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.onnx").write_text("no network\n")
    result = minidl("onnx", *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output and len(result.output.splitlines()) <= 8
    for text in says:
        assert text in result.output
    assert not (tmp_path / "net.onnx").exists()
