"""Linear, Flatten, activations, losses and distances as layers: they hand their settings on."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import functional

x, t = minidl.randn(4, 3), minidl.randn(4, 3)
labels, signs = minidl.tensor([0, 2, 1, 1]), minidl.tensor([[1, -1, 1]] * 4)
yes = minidl.tensor([[0.0, 1.0, 0.25]] * 4)
weight = minidl.tensor([0.5, 1.0, 2.0])

# layer with settings that are not the defaults, inputs, and the function called with the same
SAME = [
    (nn.ReLU(), (x,), functional.relu, {}),
    (nn.ReLU6(), (x * 5,), functional.relu6, {}),
    (nn.LeakyReLU(0.3), (x,), functional.leaky_relu, {"negative_slope": 0.3}),
    (nn.Tanh(), (x,), functional.tanh, {}),
    (nn.Sigmoid(), (x,), functional.sigmoid, {}),
    (nn.Softplus(2, 1), (x,), functional.softplus, {"beta": 2, "threshold": 1}),
    (nn.Softmax(0), (x,), functional.softmax, {"dim": 0}),
    (nn.LogSoftmax(0), (x,), functional.log_softmax, {"dim": 0}),
    (
        nn.CrossEntropyLoss(weight, 1, "sum", 0.1), (x, labels), functional.cross_entropy,
        {"weight": weight, "ignore_index": 1, "reduction": "sum", "label_smoothing": 0.1},
    ),
    (
        nn.NLLLoss(weight, 1, "sum"), (x, labels), functional.nll_loss,
        {"weight": weight, "ignore_index": 1, "reduction": "sum"},
    ),
    (nn.MSELoss("sum"), (x, t), functional.mse_loss, {"reduction": "sum"}),
    (nn.L1Loss("none"), (x, t), functional.l1_loss, {"reduction": "none"}),
    (
        nn.BCEWithLogitsLoss(weight, "none", weight * 3), (x, yes),
        functional.binary_cross_entropy_with_logits,
        {"weight": weight, "reduction": "none", "pos_weight": weight * 3},
    ),
    (
        nn.HingeEmbeddingLoss(0.4, "none"), (x, signs), functional.hinge_embedding_loss,
        {"margin": 0.4, "reduction": "none"},
    ),
    (
        nn.MultiMarginLoss(2, 0.4, weight, "none"), (x, labels), functional.multi_margin_loss,
        {"p": 2, "margin": 0.4, "weight": weight, "reduction": "none"},
    ),
    (nn.CosineSimilarity(0, 3.0), (x, t), functional.cosine_similarity, {"dim": 0, "eps": 3.0}),
    (
        nn.PairwiseDistance(1, 0.5, True), (x, t), functional.pairwise_distance,
        {"p": 1, "eps": 0.5, "keepdim": True},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "layer, inputs, function, options", SAME, ids=[type(row[0]).__name__ for row in SAME]
)
def test_layer_equals_its_function(layer, inputs, function, options):
    y = layer(*inputs)
    np.testing.assert_array_equal(y, function(*inputs, **options))
    if options and type(layer) is not nn.LogSoftmax and type(layer) is not nn.Softmax:
        assert not np.array_equal(y, function(*inputs)), "the settings make no difference"


@pytest.mark.parametrize(
    "loss",
    [nn.CrossEntropyLoss, nn.NLLLoss, nn.MSELoss, nn.L1Loss, nn.BCEWithLogitsLoss,
     nn.HingeEmbeddingLoss, nn.MultiMarginLoss],
)  # fmt: skip
def test_a_wrong_reduction_is_refused_when_the_loss_is_made(loss):
    with pytest.raises(ArgumentError, match=f"{loss.__name__}: no such reduction"):
        loss(reduction="average")


def test_class_weights_are_saved_and_converted_with_the_loss():
    loss = nn.CrossEntropyLoss(weight=minidl.ones(3))
    assert list(loss.state_dict()) == ["weight"]
    assert loss.to("float64").weight.dtype == np.float64


def test_linear_starts_uniform_within_one_over_root_of_in_features():
    minidl.manual_seed(0)
    layer = nn.Linear(100, 400)
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert np.abs(values).max() <= 0.1
        assert np.abs(values).max() > 0.099  # 400 values or more: the bound is nearly reached
        assert abs(values.std() - 0.1 / np.sqrt(3)) < 0.004
    before = layer.weight.data.copy()
    layer.reset_parameters()
    assert not np.array_equal(layer.weight.data, before)


@pytest.mark.parametrize("sizes", [(0, 3), (3, -1), (3.0, 3), ("3", 3), (True, 3)])
def test_linear_refuses_sizes(sizes):
    with pytest.raises(ArgumentError, match="ints >= 1"):
        nn.Linear(*sizes)


def test_flatten_keeps_the_logical_order_of_channels_last_memory():
    nhwc = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)
    y = nn.Flatten()(minidl.from_numpy(nhwc.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(y, nhwc.transpose(0, 3, 1, 2).reshape(2, 60))


def test_flatten_dims():
    shape = nn.Flatten(2, -2)(minidl.ones(2, 3, 4, 5, 6)).shape
    assert shape == (2, 3, 20, 6)
    assert nn.Flatten(0)(minidl.ones(2, 3)).shape == (6,)
    assert nn.Flatten()(minidl.ones(0, 3, 2)).shape == (0, 6)
    with pytest.raises(ArgumentError, match="start_dim"):
        nn.Flatten(2, 1)(minidl.ones(2, 3, 4))
    with pytest.raises(ArgumentError, match="dim"):
        nn.Flatten(1, 5)(minidl.ones(2, 3, 4))


def test_identity_passes_on():
    assert nn.Identity()(x) is x


@pytest.mark.parametrize(
    "make",
    [
        lambda n: nn.Linear(n, n),
        lambda n: nn.Linear(1, n * n),
        lambda n: nn.Conv2d(n, n, 3),
        lambda n: nn.ConvTranspose2d(n, n, 3),
        lambda n: nn.Embedding(n, n),
        lambda n: nn.LSTM(n, n),
        lambda n: nn.LSTMCell(n, n),
        lambda n: nn.BatchNorm1d(n * n),
    ],
)
def test_a_layer_larger_than_memory_is_refused(make):
    with pytest.raises(ShapeError, match="memory"):
        make(10**9)
