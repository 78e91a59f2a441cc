"""The network of a run: what the LSTM hears of a picture, and CNNs without their last layer."""

import numpy as np
import pytest

import minidl
import models
from apps.caption.learning import Learner, captions_alone
from apps.caption.network import cnn_arguments, make_cnn, make_network
from apps.caption.recipes import completed, from_command_line
from apps.shared.options import OptionError
from minidl.data import pad_sequences


def test_a_narrow_lstm_hears_of_the_picture():
    """With weights as of im2txt's 512 units it is .03, and all pictures get the same sentence."""
    minidl.manual_seed(0)
    settings = from_command_line({})
    net = make_network(make_cnn("small", cnn_arguments("small", 32), 32), settings, 77).eval()
    with minidl.no_grad():
        state, _ = net.decoder.start(minidl.randn(64, 96))
    assert state.numpy().std(0).mean() > 0.1


@pytest.mark.parametrize("detects", [False, True])
def test_each_weight_of_the_cnn_learns_from_the_captions(detects):
    minidl.manual_seed(0)
    cnn = make_cnn("small", cnn_arguments("small", 32), 32)
    learner = Learner(make_network(cnn, from_command_line({}), 9), detects=detects).train()
    words, _ = pad_sequences([[2, 5, 6], [2, 7], [2, 8], [2, 6, 5]])
    next_words, lengths = pad_sequences([[5, 6, 3], [7, 3], [8, 3], [6, 5, 3]])
    outputs = learner(minidl.randn(4, 3, 32, 32), words)
    assert isinstance(outputs, tuple) == detects
    captions_alone(outputs, (next_words, lengths)).backward()
    weights = {n: p for n, p in learner.net.cnn.named_parameters() if p.ndim > 1}
    assert len(weights) > 2
    for name, weight in weights.items():
        assert weight.grad is not None and np.abs(weight.grad.numpy()).max() > 1e-5, name


def test_a_feature_that_no_training_picture_has():
    """It must not drown the others in the first picture that has a little of it."""
    cnn = make_cnn("lenet", cnn_arguments("lenet", 32), 32).eval()
    features = np.random.default_rng(0).normal(5, 2, (50, 84)).astype(np.float32)
    features[:, 3] = 0
    cnn.standardize([features[:20], features[20:]])
    cnn.takes_features = True
    found = cnn(minidl.tensor(features)).numpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.delete(found.std(0), 3), 1, atol=1e-3)
    features[:, 3] = 0.01
    assert np.abs(cnn(minidl.tensor(features)).numpy()[:, 3]).max() < 1


def test_the_usual_cnn_is_the_same_typed():
    usual = from_command_line({"data": "tuxpaint"})
    assert usual.weights == "squeezenet"
    assert from_command_line({"data": "tuxpaint", "cnn": "squeezenet"}) == usual
    assert from_command_line({"data": "tuxpaint", "weights": "squeezenet"}) == usual
    fresh = from_command_line({"data": "tuxpaint", "weights": "none"})
    assert fresh.weights is None and fresh.lr == from_command_line({}).lr
    assert from_command_line({"data": "tuxpaint", "cnn": "resnet18"}).weights is None


@pytest.mark.parametrize("name, features", [("lenet", 84), ("squeezenet", 512), ("resnet18", 512)])
def test_features_are_what_the_last_layer_takes(name, features):
    size = max(32, models.entry(name).size // 4)
    cnn = make_cnn(name, cnn_arguments(name, size), size)
    assert cnn.out_features == features
    with minidl.no_grad():
        assert cnn.eval()(minidl.zeros(2, 3, size, size)).shape == (2, features)


def test_a_network_whose_output_is_no_layer_behind_the_others(monkeypatch):
    entry = models.entry("lenet")
    monkeypatch.setattr(models, "entry", lambda name: type(entry)(**(vars(entry) | {"head": "x"})))
    with pytest.raises(OptionError, match="cannot be cut"):
        make_cnn("lenet", cnn_arguments("lenet", 32), 32)


def test_fewer_pictures_have_more_epochs_with_a_frozen_cnn():
    settings = from_command_line({"data": "tuxpaint"})
    found = [completed(settings, 900, pictures).epochs for pictures in (10, 745, 3200, 100_000)]
    assert found == [200, 54, 12, 10]
    assert completed(settings, 19_999, 10).min_count == 1
    assert completed(settings, 20_000, 10).min_count == 4
    typed = from_command_line({"data": "tuxpaint", "epochs": 7, "min_count": 2})
    assert (completed(typed, 9**9, 10).epochs, completed(typed, 9**9, 10).min_count) == (7, 2)
