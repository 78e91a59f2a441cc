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
from models.show_and_tell import Decoder, ShowAndTell


def test_a_narrow_lstm_hears_of_the_picture():
    """With weights as of im2txt's 512 units it is .03, and all pictures get the same sentence."""
    minidl.manual_seed(0)
    settings = from_command_line({})
    net = make_network(make_cnn("small", cnn_arguments("small", 32), 32), settings, 77).eval()
    with minidl.no_grad():
        state, _ = net.decoder.start(minidl.randn(64, 96))
    assert state.numpy().std(0).mean() > 0.1


@pytest.mark.parametrize("phrases", [0, 7])
def test_each_weight_of_the_cnn_learns_from_the_captions(phrases):
    minidl.manual_seed(0)
    cnn = make_cnn("small", cnn_arguments("small", 32), 32)
    learner = Learner(make_network(cnn, from_command_line({}), 9), phrases).train()
    words, _ = pad_sequences([[2, 5, 6], [2, 7], [2, 8], [2, 6, 5]])
    next_words, lengths = pad_sequences([[5, 6, 3], [7, 3], [8, 3], [6, 5, 3]])
    outputs = learner(minidl.randn(4, 3, 32, 32), words)
    assert isinstance(outputs, tuple) == bool(phrases)
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


def test_frozen_features_have_the_same_length():
    """A picture twice as far from the mean is the same picture; other CNNs keep the lengths."""
    x = np.random.default_rng(0).normal(0, 2, (9, 84)).astype(np.float32)
    for weights, lengths in (("a file", np.full(9, 84**0.5)), (None, np.linalg.norm(x, axis=1))):
        settings = from_command_line({"data": "tuxpaint", "cnn": "lenet", "weights": weights})
        cnn = make_cnn("lenet", cnn_arguments("lenet", 32), 32)
        net = make_network(cnn, settings, 9).eval()
        cnn.takes_features = True
        found = net.look(minidl.tensor(x)).numpy()
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), lengths, rtol=1e-5)
        np.testing.assert_allclose(
            found / x, np.broadcast_to((found / x)[:, :1], x.shape), rtol=1e-4
        )


def test_noise_is_on_features_that_learn_alone():
    net = ShowAndTell(
        make_cnn("small", {"width": 2, "out": 3, "size": 32}, 32), Decoder(3, 9, 4, 4)
    )
    net.cnn.eval().takes_features = True
    features, words = minidl.zeros(50, 3), minidl.tensor(np.full((50, 1), 2))
    seen = []
    net.decoder.forward = lambda features, words: seen.append(features.numpy()) or features
    learner = Learner(net, noise=0.5)
    learner.training = True
    learner(features, words)
    learner.eval()
    learner(features, words)
    assert seen[0].std() == pytest.approx(0.5, abs=0.1) and seen[0].dtype == np.float32
    assert not seen[1].any()


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
    assert found == [200, 86, 20, 10]
    assert completed(settings, 19_999, 10).min_count == 1
    assert completed(settings, 20_000, 10).min_count == 4
    typed = from_command_line({"data": "tuxpaint", "epochs": 7, "min_count": 2})
    assert (completed(typed, 9**9, 10).epochs, completed(typed, 9**9, 10).min_count) == (7, 2)
