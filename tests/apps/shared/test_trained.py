"""A network of any application: what its checkpoint says, and what is built from it."""

import numpy as np
import pytest

import minidl as library
import models
from apps.shared.trained import description, load_trained
from minidl.data import transforms as T
from minidl.errors import CheckpointError
from tests.apps.conftest import minidl

PREPROCESSING = T.Compose([T.Grayscale(), T.Resize(32), T.CenterCrop(32), T.ToFloat()])


@pytest.fixture
def run(tmp_path):
    """A run folder whose network gives four numbers that are no classes."""
    net = models.build("lenet", num_classes=4)
    meta = description("lenet", {"num_classes": 4}, PREPROCESSING, vocabulary=["a", "b"])
    library.io.save_checkpoint(tmp_path / "checkpoint.safetensors", net, meta=meta)
    return tmp_path, net


def test_it_needs_no_classes(run):
    folder, net = run
    found = load_trained(str(folder), kind="captioner", needs=("vocabulary",))
    assert found.classes == [] and found.meta["vocabulary"] == ["a", "b"]
    x = library.zeros(1, 1, 32, 32)
    np.testing.assert_array_equal(found.model(x).detach().numpy(), net.eval()(x).detach().numpy())
    assert minidl("onnx", "export", folder, folder / "net.onnx").exit_code == 0


def test_it_is_not_taken_for_what_it_is_not(run):
    folder, _ = run
    with pytest.raises(CheckpointError, match="not one of a painter") as caught:
        load_trained(str(folder), kind="painter", needs=("vocabulary", "brushes"))
    assert caught.value.received["lacks"] == "'brushes'"
    result = minidl("evaluate", folder)
    assert result.exit_code == 2 and "not one of a classifier" in result.output
