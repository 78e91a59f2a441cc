"""Features of a frozen part, kept for whoever trains what is behind it: no settings are needed."""

import shutil

import numpy as np
import pytest

import minidl as library
import models
from apps.shared.cut import NotCached
from apps.shared.feature_cache import FeatureCache, FeatureLoader
from minidl import nn
from minidl.data import ArrayDataset
from minidl.data import transforms as T

PREPROCESSING = T.Compose([T.Grayscale(), T.ToFloat(), T.Normalize([0.5], [0.25])])


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 32, 32, 1)).astype(np.uint8)
    return ArrayDataset(images, np.arange(20) % 3, ["a", "b", "c"])


@pytest.fixture
def net():
    """LeNet-5 of which only the last layer learns."""
    library.manual_seed(0)
    model = models.build("lenet", num_classes=3).freeze()
    for parameter in model.classifier[-1].parameters():
        parameter.requires_grad_(True)
    return model


def make_cache(net, pictures, folder):
    return FeatureCache(net, {"all": pictures}, PREPROCESSING, library.zeros(1, 1, 32, 32), folder)


def test_the_network_behind_the_frozen_part_gives_the_same_scores(net, pictures, tmp_path):
    cache = make_cache(net, pictures, tmp_path)
    cache.compute(workers=0, log=lambda text: None)
    loader = FeatureLoader(pictures, 20, PREPROCESSING)
    x, _ = next(iter(loader))
    expected = net.eval()(x).detach().numpy()

    cache.enter(all=loader)
    assert cache.in_use
    features, labels = next(iter(loader))
    assert features.shape == (20, *cache.shape) == (20, 84)
    np.testing.assert_array_equal(labels.numpy(), pictures.labels)
    np.testing.assert_allclose(
        cache.model.eval()(features).detach().numpy(), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(
        net(x).detach().numpy(), expected
    )  # the network itself is as it was

    cache.leave()
    assert not cache.in_use and next(iter(loader))[0].shape == x.shape
    np.testing.assert_array_equal(cache.model.eval()(x).detach().numpy(), expected)
    cache.remove()
    assert not list(tmp_path.iterdir())


def test_it_is_saved_and_loaded_as_the_whole_network(net, pictures, tmp_path):
    behind = make_cache(net, pictures, tmp_path).model
    assert list(behind.state_dict()) == list(net.state_dict())
    library.io.save_checkpoint(tmp_path / "a.safetensors", behind)
    other = models.build("lenet", num_classes=3)
    other.load_state_dict(library.io.load_checkpoint(tmp_path / "a.safetensors").model)
    with library.no_grad():
        net.classifier[-1].bias.data[:] = 7
    behind.load_state_dict(other.state_dict())
    assert (net.classifier[-1].bias.data == other.classifier[-1].bias.data).all()


def test_a_network_that_is_no_chain_cannot_be_cut(pictures, tmp_path):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(32, 2), nn.Linear(32, 2)

        def forward(self, x):
            return self.a(x) + self.b(x)

    with pytest.raises(NotCached, match="no chain of layers"):
        make_cache(Sum(), pictures, tmp_path)


def test_a_network_that_learns_nothing_gives_its_output(net, pictures, tmp_path):
    """As for captions, where another network learns from the features."""
    cache = make_cache(net.freeze(), pictures, tmp_path)
    said = []
    cache.compute(workers=0, log=said.append)
    assert "classifier.5" in said[0] and cache.place == "classifier.5"
    x, _ = next(iter(FeatureLoader(pictures, 20, PREPROCESSING)))
    np.testing.assert_allclose(
        cache.array("all"), net.eval()(x).detach().numpy(), rtol=1e-5, atol=1e-6
    )
    cache.compute(workers=0, log=said.append)
    assert said[-1].endswith("there already")


def test_features_that_are_there_need_no_room_on_the_disk(net, pictures, tmp_path, monkeypatch):
    """They may have taken it themselves, before the run was interrupted."""
    make_cache(net, pictures, tmp_path).compute(workers=0, log=lambda text: None)
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr("apps.shared.feature_cache.shutil.disk_usage", lambda path: full)
    said = []
    make_cache(net, pictures, tmp_path).compute(workers=0, log=said.append)
    assert said[-1].endswith("there already")
    for parameter in net.parameters():
        parameter.data += 1
    with pytest.raises(NotCached, match="has room for"):
        make_cache(net, pictures, tmp_path).compute(workers=0, log=said.append)
    assert not (tmp_path / "features").exists()  # useless ones do not stay
