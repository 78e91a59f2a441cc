"""Encoders of sentences and pictures: what stands behind a sentence's end, and twins in PyTorch."""

import numpy as np
import pytest

import minidl
from minidl.data import pad_sequences
from minidl.data.captioned import check
from minidl.errors import ArgumentError, DtypeError, ShapeError
from models.picture_encoder import PictureEncoder
from models.text_encoder import ALPHABET, LONGEST, CharCnnRnn, WordLstm, character_numbers

SENTENCES = [[5, 6, 7, 1], [4], [9, 9, 4, 8, 5, 6, 7]]
TEXTS = ["a red flower", "q", "on a grey background, four petals - " * 7]  # the last is cut


def loaded(torch, net, twin, change=lambda name, value: value):
    """Both in float64, with the same weights."""
    net.to("float64")
    state = {name: change(name, torch.tensor(value.numpy().copy()))
             for name, value in net.state_dict().items()}  # fmt: skip
    twin.double().load_state_dict(state)
    return net, twin


def assert_same_gradients(net, twin):
    gradients = dict(twin.named_parameters())
    for name, parameter in net.named_parameters():
        expected = gradients[name].grad.numpy().reshape(parameter.shape)
        np.testing.assert_allclose(
            parameter.grad.numpy(), expected, rtol=1e-7, atol=1e-11, err_msg=name
        )


@pytest.mark.torch
def test_word_lstm_and_its_twin():
    torch = pytest.importorskip("torch")
    from tests.models.projection_twins import WordLstm as Twin

    net, twin = loaded(torch, WordLstm(10, 3, 4, 5), Twin(10, 3, 4, 5))
    numbers, lengths = pad_sequences(SENTENCES)
    y = net(numbers, lengths)
    expected = twin(torch.tensor(numbers.numpy()), torch.tensor(lengths.numpy()))
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-9)
    y.square().sum().backward()
    (expected**2).sum().backward()
    assert_same_gradients(net, twin)


@pytest.mark.torch
def test_char_cnn_rnn_and_its_twin():
    torch = pytest.importorskip("torch")
    from tests.models.projection_twins import CharCnnRnn as Twin

    def flat(name, value):  # convolutions of rows are one-dimensional there
        return value.squeeze(2) if value.ndim == 4 else value

    minidl.manual_seed(2)
    net, twin = loaded(torch, CharCnnRnn(5, (3, 4, 6)), Twin(5, (3, 4, 6)), flat)
    sentences = [character_numbers(text) for text in TEXTS]
    assert [len(numbers) for numbers in sentences] == [12, 1, 201]
    y = net(*pad_sequences(sentences))
    expected = twin(sentences)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-8)
    y.square().sum().backward()
    (expected**2).sum().backward()
    assert_same_gradients(net, twin)


@pytest.mark.torch
@pytest.mark.parametrize("size, channels", [(32, (2, 4, 8)), (64, (2, 4, 8, 8))])
def test_picture_encoder_and_its_twin(size, channels):
    torch = pytest.importorskip("torch")
    from tests.models.projection_twins import PictureEncoder as Twin

    net, twin = loaded(torch, PictureEncoder(2, 5, size), Twin(channels, 5))
    x = np.random.default_rng(0).standard_normal((4, 3, size, size))
    y, expected = net(minidl.tensor(x)), twin(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-8)
    y.square().sum().backward()
    (expected**2).sum().backward()
    for net_p, twin_p in zip(net.parameters(), twin.parameters()):
        np.testing.assert_allclose(net_p.grad.numpy(), twin_p.grad.numpy(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "net, sentences",
    [
        (lambda: WordLstm(10, 3, 4, 5), SENTENCES),
        (lambda: CharCnnRnn(5, (3, 4, 6)), [character_numbers(text) for text in TEXTS]),
    ],
    ids=["WordLstm", "CharCnnRnn"],
)
def test_padding_changes_nothing(net, sentences):
    """Not its length, not what stands in it, not the company a sentence is in."""
    net = net()
    numbers, lengths = pad_sequences(sentences)
    expected = net(numbers, lengths).detach().numpy()
    for value in (0, 3):
        longer = [one + [value] * (210 - len(one)) for one in sentences]
        y = net(minidl.tensor(longer), lengths).detach().numpy()
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    for one, row in zip(sentences, expected):
        alone = net(minidl.tensor([one]), [len(one)]).detach().numpy()
        np.testing.assert_allclose(alone[0], row, rtol=1e-5, atol=1e-6)


def test_the_order_of_words_counts():
    net = WordLstm(10)
    y = net(minidl.tensor([[5, 6, 7], [7, 6, 5]]), [3, 3]).detach().numpy()
    assert np.abs(y[0] - y[1]).max() > 1e-3


def test_characters():
    assert len(ALPHABET) == 70
    assert (set(ALPHABET), LONGEST) == (check.ALPHABET, check.LONGEST)  # what data are checked by
    assert character_numbers("Aa z9") == [1, 1, 70, 26, 36]
    assert character_numbers("-ü\n") == [60, 0, 0]  # "-" stands in the alphabet twice
    assert len(character_numbers("x" * 300)) == 201
    with pytest.raises(ArgumentError, match="expects text"):
        character_numbers(["a"])


def test_parameters_of_reeds_encoder():
    """Summed up by hand: convolutions, LSTM, linear layer."""
    by_hand = (
        70 * 4 * 384 + 384 + 384 * 4 * 512 + 512 + 512 * 4 * 256 + 256
        + 4 * 256 * (256 + 256 + 2) + 256 * 1024 + 1024
    )  # fmt: skip
    assert sum(p.numel() for p in CharCnnRnn().parameters()) == by_hand


@pytest.mark.parametrize("make", [lambda: WordLstm(10, 3, 4, 5), lambda: CharCnnRnn(5, (3, 4, 6))])
@pytest.mark.parametrize(
    "numbers, lengths, error, says",
    [
        ([[1, 2]], [0], ArgumentError, "at least 1"),
        ([[1, 2]], [3], ArgumentError, "at most L = 2"),
        ([[1, 2]], [1, 1], ShapeError, "lengths are"),
        ([1, 2], [1, 1], ShapeError, "(N, L)"),
        ([[1.0, 2.0]], [2], DtypeError, "numbers are integers"),
        ([[1, 2]], [1.5], DtypeError, "lengths are integers"),
        ([[1, 2]], [True], DtypeError, "lengths are integers"),
    ],
)
def test_what_does_not_fit(make, numbers, lengths, error, says):
    with pytest.raises(error) as caught:
        make()(minidl.tensor(numbers), minidl.tensor(lengths))
    assert says in str(caught.value)


def test_a_number_beyond_the_vocabulary():
    with pytest.raises(ArgumentError, match="not a row"):
        WordLstm(10)(minidl.tensor([[10]]), [1])


def test_a_checkpoint_of_another_vocabulary_is_refused():
    with pytest.raises(minidl.errors.CheckpointError, match="shapes differ"):
        WordLstm(10).load_state_dict(WordLstm(11).state_dict())
