"""Show and Tell: sizes, padding, the loss, errors, and a twin in PyTorch."""

import numpy as np
import pytest

import minidl
from minidl.data import pad_sequences
from minidl.debug import gradcheck
from minidl.errors import ArgumentError, CheckpointError, DtypeError, MinidlError, ShapeError
from models.picture_encoder import PictureEncoder
from models.show_and_tell import Decoder, OneBiasLSTM, ShowAndTell, caption_loss
from tests.models.shared import n_parameters

START, END = 2, 3
CAPTIONS = [[5, 7, 4, 9], [], [8, 8, 4]]  # the second has 0 words: </s> follows <s>


def batch(captions=CAPTIONS, seed=0, features=6, dtype="float64"):
    """Features, words from <s> on, and those that follow them up to </s>, with their number."""
    words, _ = pad_sequences([[START, *caption] for caption in captions])
    next_words, lengths = pad_sequences([[*caption, END] for caption in captions])
    numbers = np.random.default_rng(seed).standard_normal((len(captions), features))
    return minidl.tensor(numbers).to(dtype), words, (next_words, lengths)


def small(dropout=0.0, dtype="float64"):
    """A decoder whose every part matters: weights and biases of about 1/2."""
    minidl.manual_seed(1)
    net = Decoder(6, 10, 5, 7, dropout).to(dtype)
    for parameter in net.parameters():
        minidl.nn.init.normal_(parameter, 0, 0.5)
    return net


def gradients_of(net, features, words, targets):
    """The loss of a batch and its gradients by name."""
    for parameter in net.parameters():
        parameter.grad = None
    loss = caption_loss(net(features, words), targets)
    loss.backward()
    return loss.item(), {name: p.grad.numpy() for name, p in net.named_parameters()}


def test_parameters_of_the_paper(undrawn):
    """V = 12,000 words and 2,048 features, summed up by hand as in the module's table."""
    net = Decoder(2048, 12_000)
    by_hand = {
        "picture": 2048 * 512, "embedding": 12_000 * 512, "lstm": 2048 * (512 + 512 + 1),
        "out": 12_000 * (512 + 1),
    }  # fmt: skip
    assert {name: n_parameters(part) for name, part in net.named_children()} == {
        **by_hand, "dropout": 0
    }  # fmt: skip
    assert n_parameters(net) == sum(by_hand.values()) == 15_447_776


def test_the_start():
    """Uniform, as wide as sums over so many numbers need; biases 0, that of the forget gate 1."""
    net = Decoder(40, 50, 30, 20)
    sums = {"picture": 40, "embedding": 512, "lstm.weight_ih": 30, "lstm.weight_hh": 20, "out": 20}
    for name, parameter in net.named_parameters():
        values = parameter.detach().numpy()
        if name == "lstm.bias":
            np.testing.assert_array_equal(values, np.repeat([0, 1, 0, 0], 20))
        elif name == "out.bias":
            assert not values.any()
        else:
            bound = 0.08 * (512 / sums[name.removesuffix(".weight")]) ** 0.5
            assert 0.9 * bound < np.abs(values).max() <= 1.0001 * bound
            assert abs(values.mean()) < 0.12 * bound


def test_a_picture_is_seen_once_before_the_first_word():
    """Scores at t depend on the picture, the words up to t, and nothing that comes after."""
    net, (features, words, _) = small(), batch()
    scores = net(features, words).detach().numpy()
    other = words.numpy().copy()
    other[:, 2:] = 1
    np.testing.assert_array_equal(net(features, minidl.tensor(other)).data[:, :2], scores[:, :2])
    assert np.abs(net(features + 1, words).data - scores).min(axis=(1, 2)).all()


def test_step_by_step():
    """start and step give the scores of forward, also with rows in another order."""
    net, (features, words, _) = small(), batch()
    with minidl.no_grad():
        expected = net(features, words).numpy()
        state = net.start(features)
        for t in range(words.shape[1]):
            scores, state = net.step(words[:, t], state)
            np.testing.assert_allclose(scores.numpy(), expected[:, t], rtol=1e-10, atol=1e-12)
        order = minidl.tensor([2, 0, 0])
        state = net.start(features)
        scores, _ = net.step(words[:, 0], tuple(part[order] for part in state))
        np.testing.assert_allclose(scores.numpy(), expected[[2, 0, 0], 0], rtol=1e-10)


def test_dropout_in_training_alone():
    net, (features, words, _) = small(dropout=0.5), batch()
    assert np.abs((net(features, words) - net(features, words)).data).max() > 0.1
    net.eval()
    np.testing.assert_array_equal(net(features, words).data, net(features, words).data)


def test_a_batch_of_one_and_the_company_it_is_in():
    net, (features, words, targets) = small(), batch()
    scores = net(features, words).detach().numpy()
    for i, length in enumerate(targets[1].tolist()):
        alone = net(features[i : i + 1], words[i : i + 1, :length]).detach().numpy()
        np.testing.assert_allclose(alone[0], scores[i, :length], rtol=1e-10, atol=1e-12)


def test_of_pictures():
    net = ShowAndTell(PictureEncoder(width=2, out=6), Decoder(6, 10, 8, 8)).eval()
    pictures, words = minidl.randn(3, 3, 32, 32), batch()[1]
    np.testing.assert_array_equal(
        net(pictures, words).data, net.decoder(net.look(pictures), words).data
    )
    cnn = minidl.nn.AvgPool2d(2)  # its features have rows and columns
    net = ShowAndTell(cnn, Decoder(3 * 4, 10, 8, 8))
    assert net(minidl.ones(3, 3, 4, 4), words).shape == (3, 5, 10)


# --- the loss -----------------------------------------------------------------------------------


def test_the_loss_by_hand():
    net, (features, words, targets) = small(), batch()
    scores = net(features, words).detach().numpy()
    log_p = scores - np.log(np.exp(scores).sum(2, keepdims=True))
    lost = [-log_p[i, t, word] for i, caption in enumerate(CAPTIONS)
            for t, word in enumerate([*caption, END])]  # fmt: skip
    loss = caption_loss(minidl.tensor(scores), targets).item()
    assert loss == pytest.approx(sum(lost) / 10, rel=1e-12)
    assert len(lost) == 10


def test_of_a_caption_of_0_words():
    net, (features, words, targets) = small(), batch([[]])
    assert words.tolist() == [[START]] and targets[0].tolist() == [[END]]
    log_p = minidl.nn.functional.log_softmax(net(features, words), 2)
    loss, gradients = gradients_of(net, features, words, targets)
    assert loss == pytest.approx(-log_p[0, 0, END].item(), rel=1e-12)
    assert all(np.abs(g).max() > 0 for g in gradients.values())


def test_gradients_of_the_loss():
    """With respect to the scores, and through the whole decoder to all its parameters."""
    net, (features, words, targets) = small(), batch()
    scores = minidl.randn(3, 5, 10, dtype="float64", requires_grad=True)
    assert gradcheck(lambda x: caption_loss(x, targets), [scores])
    features.requires_grad_()
    assert gradcheck(
        lambda x, *_: caption_loss(net(x, words), targets), [features, *net.parameters()]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_changes_nothing(dtype):
    """Not a bit of the loss and its gradients: neither what stands there, nor how much it is."""
    net = small(dtype=dtype)
    features, words, targets = batch(dtype=dtype)
    loss, gradients = gradients_of(net, features, words, targets)
    for extra in (0, 1, 13):
        others = []
        for tensor, wrong in ((words, 6), (targets[0], 99)):  # 99: not even a word
            array = np.full((3, 5 + extra), wrong)
            for row, values, length in zip(array, tensor.numpy(), targets[1].tolist()):
                row[:length] = values[:length]
            others.append(minidl.tensor(array))
        again = gradients_of(net, features, others[0], (others[1], targets[1]))
        assert again[0] == loss
        for name, g in gradients.items():
            np.testing.assert_array_equal(again[1][name], g, err_msg=name)


def test_scores_behind_the_end_may_be_anything():
    _, _, targets = batch()
    scores = minidl.randn(3, 5, 10, dtype="float64")
    expected = caption_loss(scores, targets).item()
    scores.data[1, 1:] = np.nan
    scores.data[2, 4:] = np.nan
    assert caption_loss(scores, targets).item() == expected


def test_no_copy_of_the_scores():
    """They are the largest array of a step by far."""
    net, (features, words, _) = small(), batch()
    scores = net(features, words)
    rows = scores.transpose(0, 1).reshape(15, 10)
    assert np.shares_memory(rows.data, scores.data)


def test_it_learns_what_it_sees():
    """Three pictures, three captions: after some steps the likeliest words are theirs."""
    net, (features, words, targets) = small(), batch()
    optimizer = minidl.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        caption_loss(net(features, words), targets).backward()
        optimizer.step()
    said = net(features, words).argmax(2).tolist()
    for row, caption in zip(said, CAPTIONS):
        assert row[: len(caption) + 1] == [*caption, END]


# --- what does not fit --------------------------------------------------------------------------


def words(*rows):
    return minidl.tensor([list(row) for row in rows])


def state(rows=2, hidden=7):
    return minidl.zeros(rows, hidden), minidl.zeros(rows, hidden)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda net: net(minidl.ones(1, 5), words([2])), ShapeError, "features are (N, 6)"),
        (lambda net: net(minidl.ones(6), words([2])), ShapeError, "features are (N, 6)"),
        (lambda net: net([[1.0]], words([2])), DtypeError, "must be a Tensor"),
        (lambda net: net(None, words([2])), ShapeError, "features are (N, 6)"),
        (lambda net: net.start(minidl.ones(1, 5)), ShapeError, "from another CNN"),
        (lambda net: net(minidl.ones(1, 6), words([2, 10])), ArgumentError, "10 is none of the 10"),
        (lambda net: net(minidl.ones(1, 6), words([2, -1])), ArgumentError, "from 0 to 9"),
        (lambda net: net(minidl.ones(1, 6), minidl.ones(1, 2)), DtypeError, "are integers"),
        (lambda net: net(minidl.ones(1, 6), minidl.tensor([2])), ShapeError, "2 dimensions"),
        (lambda net: net(minidl.ones(2, 6), words([2])), ShapeError, "a row for each picture"),
        (lambda net: net(minidl.ones(1, 6), words([])), (ShapeError, DtypeError), "words are"),
        (lambda net: net.step(minidl.tensor([2]), state(1, 6)), ShapeError, "state is (N, 7)"),
        (lambda net: net.step(minidl.tensor([2]), state(2)), ShapeError, "a row for each"),
        (
            lambda net: net.step(minidl.tensor([2, 2]), (state(2)[0], state(1)[0])), ShapeError,
            "cell is (N, 7)",
        ),
        (lambda net: net.step(minidl.tensor([2]), state()[0]), ArgumentError, "a pair"),
        (lambda net: net.step(minidl.tensor([12, 2]), state()), ArgumentError, "12 is none"),
        (lambda _: Decoder(0, 10), ArgumentError, ">= 1"),
        (lambda _: Decoder(6, 10, dropout=2), ArgumentError, "probability"),
        (lambda net: caption_loss(minidl.ones(2, 3), (words([1]), [1])), ShapeError, "(N, L, V)"),
        (
            lambda _: caption_loss(minidl.ones(2, 3, 4), (words([1, 1], [1, 1]), [1, 1])),
            ShapeError, "next_words are (N, L)",
        ),
        (
            lambda _: caption_loss(minidl.ones(1, 1, 4), (words([1]), [2])), ArgumentError,
            "from 0 to T = 1",
        ),
        (
            lambda _: caption_loss(minidl.ones(1, 1, 4), (words([4]), [1])), ArgumentError,
            "not one of the 4",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(call, error, says):
    with pytest.raises(error) as caught:
        call(Decoder(6, 10, 5, 7))
    assert isinstance(caught.value, MinidlError) and says in str(caught.value)


def test_a_checkpoint_of_another_vocabulary_is_refused():
    with pytest.raises(CheckpointError, match="shapes differ"):
        Decoder(6, 10, 5, 7).load_state_dict(Decoder(6, 11, 5, 7).state_dict())


# --- beside PyTorch -----------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("captions", [CAPTIONS, [[]], [[4] * 20, [5] * 11]])
def test_scores_and_gradients_are_pytorchs(captions):
    torch = pytest.importorskip("torch")
    from tests.models import caption_twins as twins

    net = small()
    features, words, targets = batch(captions)
    twin = twins.with_weights_of(twins.Decoder(6, 10, 5, 7).double(), net)
    given = [torch.from_numpy(x.numpy().copy()) for x in (features, words, *targets)]
    scores = twin(*given[:2])
    np.testing.assert_allclose(
        net(features, words).detach().numpy(), scores.detach().numpy(), rtol=1e-9, atol=1e-12
    )
    expected = twins.caption_loss(scores, *given[2:])
    expected.backward()
    loss, gradients = gradients_of(net, features, words, targets)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    others = dict(twin.named_parameters())
    for name, g in gradients.items():
        other = others[twins.NAMES.get(name, name)].grad.numpy()
        np.testing.assert_allclose(g, other, rtol=1e-7, atol=1e-12, err_msg=name)


@pytest.mark.torch
def test_one_bias_is_as_good_as_two():
    torch = pytest.importorskip("torch")
    lstm, other = OneBiasLSTM(3, 4).to("float64"), torch.nn.LSTM(3, 4).double()
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            minidl.nn.init.normal_(parameter)
            target = "bias_ih" if name == "bias" else name
            getattr(other, f"{target}_l0").copy_(torch.from_numpy(parameter.detach().numpy()))
        other.bias_hh_l0.zero_()
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    zeros = minidl.zeros(2, 4, dtype="float64")
    y, (h, _) = lstm(minidl.tensor(x), (zeros, zeros))
    expected, (h_expected, _) = other(torch.from_numpy(x))
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-9)
    np.testing.assert_allclose(h.detach().numpy(), h_expected[0].detach().numpy(), rtol=1e-9)
