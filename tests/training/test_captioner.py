"""A captioner in small: a batch is ((pictures, words), (next words, lengths)), its loss is masked.

It is trained with words as weights, stopped at each step in turn, and resumed to the same bits.
"""

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.data import pad_sequences
from minidl.metrics import Metric
from tests.training.long_run import Crash
from tests.training.small import assert_same_weights, weights

WORDS, UNITS = 7, 8


class Captioner(nn.Module):
    """The picture, shown once, starts the LSTM; each word then predicts the next."""

    def __init__(self):
        super().__init__()
        self.picture = nn.Linear(3, UNITS)
        self.embedding = nn.Embedding(WORDS, UNITS)
        self.lstm = nn.LSTM(UNITS, UNITS, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(UNITS, WORDS)

    def forward(self, pictures, words):
        N, T = words.shape
        shown = self.picture(pictures).reshape(N, 1, UNITS)
        hidden, _ = self.lstm(minidl.cat([shown, self.embedding(words)], 1))
        return self.output(self.dropout(hidden[:, 1:].reshape(N * T, UNITS))).reshape(N, T, WORDS)


def masked_loss(scores, targets):
    """Mean cross entropy of the words that are there."""
    words, lengths = targets
    N, T = words.shape
    labels = np.where(np.arange(T) < lengths.data[:, None], words.data, -100)
    flat = minidl.tensor(labels.reshape(N * T))
    return nn.functional.cross_entropy(scores.reshape(N * T, WORDS), flat, ignore_index=-100)


def count_words(inputs, targets):
    return int(targets[1].data.sum())


class WholeSentences(Metric):
    """Share of the captions of which every word is right."""

    state = ("right", "count")

    def reset(self):
        self.right, self.count = 0, 0

    def update(self, outputs, targets):
        words, lengths = targets
        beyond = np.arange(words.shape[1]) >= lengths.data[:, None]
        self.right += int(((outputs.data.argmax(2) == words.data) | beyond).all(1).sum())
        self.count += len(words)

    def compute(self):
        return self.right / self.count


def batch(rng, n):
    """Pictures whose largest number says which word the sentence repeats."""
    pictures = rng.standard_normal((n, 3)).astype(np.float32)
    sentences = [[1] + [2 + int(p.argmax())] * rng.integers(1, 5) + [6] for p in pictures]
    words, _ = pad_sequences([s[:-1] for s in sentences])
    following, lengths = pad_sequences([s[1:] for s in sentences])
    return (minidl.tensor(pictures), words), (following, lengths)


RNG = np.random.default_rng(0)
BATCHES = [batch(RNG, n) for n in (6, 6, 3)]


def train(*look_on, epochs=3, batches=BATCHES, accumulate=1, resume=None, dropout=True):
    minidl.manual_seed(0)
    model = Captioner()
    if not dropout:
        model.dropout.p = 0.0
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    history = minidl.fit(
        model, batches, masked_loss, optimizer, epochs, BATCHES[:1], look_on, resume, accumulate,
        metrics={"sentence_accuracy": WholeSentences()}, weight=count_words,
    )  # fmt: skip
    return weights(model), history


def test_it_learns():
    _, history = train(epochs=40)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["val_sentence_accuracy"] > history[0]["val_sentence_accuracy"]


def test_the_loss_is_the_mean_over_all_words():
    minidl.manual_seed(0)
    model = Captioner().eval()
    found = minidl.evaluate(model, BATCHES, masked_loss, {}, count_words)["loss"]
    total = sum(masked_loss(model(*x), t).item() * count_words(x, t) for x, t in BATCHES)
    assert found == pytest.approx(total / sum(count_words(x, t) for x, t in BATCHES), rel=1e-6)


def test_accumulated_batches_are_one_large_batch():
    """Of other lengths and numbers of words: every word counts the same."""
    (pictures, words), (following, lengths) = BATCHES[0]
    parts = [
        ((pictures[rows], words[rows]), (following[rows], lengths[rows]))
        for rows in (slice(0, 2), slice(2, 6))
    ]
    assert len({count_words(x, t) / len(t[0]) for x, t in parts}) == 2
    small, _ = train(batches=parts, accumulate=2, dropout=False)
    large, _ = train(batches=BATCHES[:1], dropout=False)
    for name in large:
        np.testing.assert_allclose(small[name], large[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("step", range(1, 9))
def test_resume(tmp_path, step):
    expected, whole = train()
    checkpoint = callbacks.Checkpoint(tmp_path, every_steps=1)
    with pytest.raises(MemoryError):
        train(checkpoint, callbacks.StopOnNaN(), Crash("on_gradients", step))
    found, history = train(checkpoint, resume=checkpoint.path)
    assert_same_weights(found, expected)
    for entry, other in zip(history, whole, strict=True):
        for name in ("loss", "sentence_accuracy", "val_loss", "val_sentence_accuracy"):
            assert entry[name] == other[name]
