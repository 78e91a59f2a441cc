"""The network of a run: what the LSTM hears of a picture, and CNNs without their last layer."""

import numpy as np
import pytest

import minidl
import models
from apps.caption.network import cnn_arguments, make_cnn, make_network
from apps.caption.recipes import completed, from_command_line
from apps.shared.options import OptionError


def test_a_narrow_lstm_hears_of_the_picture():
    """With weights as of im2txt's 512 units it is .03, and all pictures get the same sentence."""
    minidl.manual_seed(0)
    settings = from_command_line({})
    net = make_network(make_cnn("small", cnn_arguments("small", 32), 32), settings, 77).eval()
    with minidl.no_grad():
        state, _ = net.decoder.start(minidl.randn(64, 64))
    assert state.numpy().std(0).mean() > 0.1


def test_a_wide_lstm_starts_as_im2txt():
    settings = from_command_line({"embedding": 512, "hidden": 512})
    net = make_network(make_cnn("small", cnn_arguments("small", 32), 32), settings, 77)
    assert 0.07 < np.abs(net.decoder.embedding.weight.detach().numpy()).max() <= 0.08


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
    assert found == [200, 107, 25, 10]
    assert completed(settings, 19_999, 10).min_count == 1
    assert completed(settings, 20_000, 10).min_count == 4
    typed = from_command_line({"data": "tuxpaint", "epochs": 7, "min_count": 2})
    assert (completed(typed, 9**9, 10).epochs, completed(typed, 9**9, 10).min_count) == (7, 2)
