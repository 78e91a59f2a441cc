"""SqueezeNet and EfficientNet-Lite0 learn new classes by their own defaults, with narrow nets."""

import json

import pytest

import minidl as library
import models
from tests.apps.classify.three_ways import changed, colours, run, weights_of

__all__ = ["colours"]  # a fixture

HEADS = {  # network -> its last layer, and the one behind which features are kept
    "squeezenet": ("classifier.conv10", "features.fire9"),
    "efficientnet_lite0": ("fc", "flatten"),
}
SMALL = ("--size", 32, "--model-arg", "width=0.1")


@pytest.fixture(params=HEADS)
def network(request):
    return request.param


@pytest.fixture
def weights(network, tmp_path):
    """A file with weights for seven classes."""
    library.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    library.io.save_checkpoint(path, models.build(network, num_classes=7, width=0.1))
    return path


def test_a_last_layer_learns_from_features_that_are_kept(network, weights, colours, tmp_path):
    run(tmp_path / "run", network, "--data", colours, *SMALL, "--mode", "frozen", "--weights",
        weights, "--epochs", 2)  # fmt: skip
    head, behind = HEADS[network]
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["features"]["behind"] == behind
    assert [row["name"] for row in facts["weights"]["initialised"]] == [
        f"{head}.weight", f"{head}.bias",
    ]  # fmt: skip
    before = library.io.load_checkpoint(weights).model
    after = weights_of(tmp_path / "run")
    kept = {name: tensor.data for name, tensor in before.items() if not name.startswith(head)}
    assert not changed(kept, {name: after[name] for name in kept})
    assert after[f"{head}.weight"].shape[0] == 4


def test_all_layers_learn(network, weights, colours, tmp_path):
    run(tmp_path / "run", network, "--data", colours, *SMALL, "--mode", "finetune", "--weights",
        weights, "--epochs", 1)  # fmt: skip
    before = {n: t.data for n, t in library.io.load_checkpoint(weights).model.items()}
    after = weights_of(tmp_path / "run")
    heads = {name for name in before if name.startswith(HEADS[network][0])}
    learned = {name for name in before if "running" not in name and "batches" not in name} - heads
    assert learned <= changed({n: before[n] for n in set(before) - heads}, after)
