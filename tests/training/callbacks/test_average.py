"""callbacks.AverageWeights: its formula, what it averages, and a run that stops and goes on."""

from types import SimpleNamespace

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn
from minidl.errors import ArgumentError, CheckpointError
from minidl.io import load_checkpoint
from tests.training.gan import parts, points, step
from tests.training.long_run import Crash
from tests.training.small import assert_same_weights, weights

DECAY = 0.5  # which the warm-up reaches after 8 steps of these runs' 15


class Watch(callbacks.Callback):
    """The weights of a part after each step."""

    def __init__(self, part=""):
        self.part, self.seen = part, []

    def on_step_end(self, run):
        self.seen.append(weights(run.model.get_submodule(self.part)))


def with_norm():
    minidl.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    batches = [(minidl.randn(4, 2), minidl.randn(4, 1)) for _ in range(3)]
    return model, batches, nn.MSELoss(), minidl.optim.SGD(model.parameters(), lr=0.3)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_formula(decay):
    model, *rest = with_norm()
    expected = weights(model)
    averaging, watch = callbacks.AverageWeights(decay), Watch()
    minidl.fit(model, *rest, epochs=4, callbacks=[averaging, watch])
    for t, now in enumerate(watch.seen):
        d = min(decay, (1 + t) / (10 + t))
        for name, value in now.items():
            if value.dtype.kind == "f":
                expected[name] = d * expected[name] + (1 - d) * value
            else:
                expected[name] = value
    assert len(watch.seen) == 12
    for name, value in weights(averaging.average).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert weights(averaging.average)["1.num_batches_tracked"] == 12
    assert not averaging.average.training
    assert not any(p.requires_grad for p in averaging.average.parameters())


def test_without_a_decay_it_is_the_last_weights_to_the_bit():
    model, *_ = with_norm()
    averaging, run = callbacks.AverageWeights(0.0), SimpleNamespace(model=model)
    for parameter in model.parameters():
        parameter.data[...] = 1e8  # to which .1 - 1e8 would be added
    averaging.on_fit_start(run)
    for parameter in model.parameters():
        parameter.data[...] = 0.1
    averaging.on_step_end(run)
    assert_same_weights(weights(averaging.average), weights(model))


def test_vectors_of_spectral_norms_are_copied():
    """Their average is no unit vector, and the norm by it is too small."""
    minidl.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 1))
    batches = [(minidl.randn(4, 6), minidl.randn(4, 1)) for _ in range(10)]
    optimizer = minidl.optim.SGD(model.parameters(), lr=0.1)
    averaging = callbacks.AverageWeights(0.99)
    minidl.fit(model, batches, nn.MSELoss(), optimizer, 5, callbacks=[averaging])
    average, now = weights(averaging.average), weights(model)
    place = "1.parametrizations.weight"
    for name in (f"{place}.0._u", f"{place}.0._v"):
        np.testing.assert_array_equal(average[name], now[name])
        assert np.linalg.norm(average[name]) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(average[f"{place}.original"], now[f"{place}.original"], atol=1e-4)


def test_a_part_of_a_model():
    model, optimizers = parts()
    averaging = callbacks.AverageWeights(DECAY, part="generator")
    watch = Watch("generator")
    minidl.fit(model, points(), None, optimizers, 2, callbacks=[averaging, watch], step=step)
    average = weights(averaging.average)
    assert average.keys() == watch.seen[-1].keys()
    assert not np.allclose(average["0.weight"], watch.seen[-1]["0.weight"], atol=1e-5)
    assert not any(p.requires_grad is False for p in model.generator.parameters())


def train(folder, *more, epochs=3, resume=False):
    model, optimizers = parts()
    averaging = callbacks.AverageWeights(DECAY, part="generator")
    checkpoint = callbacks.Checkpoint(folder, every_steps=1, monitor=None)
    minidl.fit(
        model, points(), None, optimizers, epochs, callbacks=[checkpoint, averaging, *more],
        resume=checkpoint.path if resume else None, step=step,
    )  # fmt: skip
    return averaging


def test_resumed_after_any_step_it_is_the_same_to_the_bit(tmp_path):
    whole = weights(train(tmp_path / "whole").average)
    for number in (1, 4, 5, 8, 14):
        folder = tmp_path / str(number)
        with pytest.raises(MemoryError):
            train(folder, Crash("on_gradients", number))
        averaging = train(folder, resume=True)
        assert_same_weights(weights(averaging.average), whole)
        assert averaging.steps == 15


def test_the_checkpoint_has_it(tmp_path):
    averaging = train(tmp_path)
    checkpoint = load_checkpoint(tmp_path / "checkpoint.safetensors")
    model, _ = parts()
    model.generator.load_state_dict(checkpoint.run["callbacks"]["AverageWeights"]["weights"])
    assert_same_weights(weights(model.generator), weights(averaging.average))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    train(tmp_path)
    model, optimizers = parts()
    averaging = callbacks.AverageWeights(DECAY, part="critic")
    saving = callbacks.Checkpoint(tmp_path, monitor=None)
    with pytest.raises(CheckpointError, match="shapes differ"):
        minidl.fit(
            model, points(), None, optimizers, 4, callbacks=[averaging, saving], step=step,
            resume=tmp_path / "checkpoint.safetensors",
        )  # fmt: skip


@pytest.mark.parametrize("options", [{"decay": 1.0}, {"decay": -0.1}, {"decay": "1"}, {"part": 3}])
def test_what_does_not_fit(options):
    with pytest.raises(ArgumentError):
        callbacks.AverageWeights(**options)


def test_no_such_part():
    model, *rest = with_norm()
    with pytest.raises(ArgumentError, match="no such module"):
        minidl.fit(model, *rest, callbacks=[callbacks.AverageWeights(part="generator")])
