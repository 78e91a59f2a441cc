"""Activations and losses where numbers are extreme, batches empty, or two ways must agree."""

import warnings

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.nn import functional

both_kernel_sets = pytest.mark.parametrize("kernels", ["reference", "numba"])

EXTREME = np.array(
    [[1e4, -1e4, 0, 3], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 1e4 - 1, -1e4], [88.8, -104, 20, -20]]
)
LABELS = np.array([1, 0, 2, 3])

FUNCTIONS = {
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "relu6": functional.relu6,
    "tanh": functional.tanh,
    "sigmoid": functional.sigmoid,
    "softplus": functional.softplus,
    "softmax": lambda x: functional.softmax(x, 1),
    "log_softmax": lambda x: functional.log_softmax(x, 1),
    "cross_entropy": lambda x: functional.cross_entropy(x, Tensor(LABELS), reduction="none"),
    "cross_entropy-smooth": lambda x: functional.cross_entropy(
        x, Tensor(LABELS), label_smoothing=0.1
    ),
    "cross_entropy-soft": lambda x: functional.cross_entropy(
        x, Tensor(np.full((4, 4), 0.25, x.dtype))
    ),
    "binary": lambda x: functional.binary_cross_entropy_with_logits(
        x, Tensor(np.full((4, 4), 0.25, x.dtype)), reduction="none"
    ),
    "multi_margin": lambda x: functional.multi_margin_loss(x, Tensor(LABELS), p=2),
    "normalize": functional.normalize,
    "cosine_similarity": lambda x: functional.cosine_similarity(x, Tensor(x.data[::-1])),
}


def forward_and_gradient(function, array, kernels):
    x = Tensor(array.copy(), requires_grad=True)
    with minidl.use_cpu_kernels(kernels), warnings.catch_warnings():
        warnings.simplefilter("error")  # no overflow or invalid value on the way, either
        y = function(x)
        y.sum().backward()
    return y.data, x.grad.data


@both_kernel_sets
@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_logits_give_finite_and_right_values_in_float32(name, kernels):
    function = FUNCTIONS[name]
    y, gx = forward_and_gradient(function, EXTREME.astype(np.float32), kernels)
    expected_y, expected_gx = forward_and_gradient(function, EXTREME, kernels)
    assert np.isfinite(y).all() and np.isfinite(gx).all()
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-6)
    # normalize subtracts nearly equal numbers: its gradient is right to float32's digits of 1
    np.testing.assert_allclose(gx, expected_gx, rtol=1e-4, atol=2e-5)


@both_kernel_sets
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "cosine_similarity"])
def test_nan_is_not_hidden(name, kernels):
    x = np.zeros((4, 4))
    x[1, 2] = np.nan
    with minidl.use_cpu_kernels(kernels):
        y = FUNCTIONS[name](Tensor(x)).data
    assert np.isnan(y).any()
    if y.shape == (4,):
        assert np.isnan(y).tolist() == [False, True, False, False]


@both_kernel_sets
def test_a_class_that_cannot_be_has_no_part_in_the_loss(kernels):
    """Scores of -inf mask classes out: probability 0, and gradient 0 instead of NaN."""
    x = np.array([[1.0, -np.inf, 2.0]])
    y, gx = forward_and_gradient(
        lambda x: functional.cross_entropy(x, minidl.tensor([2])), x, kernels
    )
    assert abs(y - np.log(1 + np.exp(-1))) < 1e-12
    assert gx[0, 1] == 0
    assert abs(gx[0, 0] - 1 / (1 + np.e)) < 1e-12
    p, gx = forward_and_gradient(lambda x: functional.softmax(x, 1), x, kernels)
    assert p[0, 1] == 0 and np.isfinite(gx).all()


@both_kernel_sets
@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_all_labels_ignored(loss, kernels):
    """As in PyTorch: the mean of nothing is NaN, the sum 0, and the gradient 0 in both."""
    labels = minidl.tensor([-100, -100])
    function = getattr(functional, loss)
    for reduction, expected in (("mean", np.nan), ("sum", 0), ("none", [0, 0])):
        y, gx = None, None
        x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
        with minidl.use_cpu_kernels(kernels), warnings.catch_warnings():
            warnings.simplefilter("error")
            y = function(x, labels, reduction=reduction)
            y.backward(np.ones(y.shape, np.float32))
        gx = x.grad.data
        np.testing.assert_array_equal(y.data, expected)
        np.testing.assert_array_equal(gx, np.zeros((2, 3)))


@pytest.mark.torch
@both_kernel_sets
@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    "labels, weight",
    [([0, 1, 2], [0, 0, 0]), ([0, -100, 0], [0, 1, 2]), ([-100] * 3, [1, 2, 3])],
    ids=["no-weight", "labels-without-weight", "ignored"],
)
def test_weights_that_add_up_to_zero(loss, labels, weight, kernels):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])
    for reduction in ("mean", "sum", "none"):

        def ours(x, reduction=reduction):
            w = minidl.tensor(weight, dtype="float64")
            function = getattr(functional, loss)
            return function(x, minidl.tensor(labels), weight=w, reduction=reduction)

        y, gx = forward_and_gradient(ours, x, kernels)
        t = torch.tensor(x, requires_grad=True)
        their_loss = getattr(torch.nn.functional, loss)(
            t, torch.tensor(labels), torch.tensor(weight, dtype=t.dtype), reduction=reduction
        )
        their_loss.sum().backward()
        np.testing.assert_array_equal(y, their_loss.detach().numpy())
        np.testing.assert_array_equal(gx, t.grad.numpy())
        assert np.isnan(y).all() == (reduction == "mean")


@both_kernel_sets
@pytest.mark.parametrize(
    "function",
    [
        lambda x, r: functional.cross_entropy(x, Tensor(np.zeros(0, np.int64)), reduction=r),
        lambda x, r: functional.nll_loss(x, Tensor(np.zeros(0, np.int64)), reduction=r),
        lambda x, r: functional.multi_margin_loss(x, Tensor(np.zeros(0, np.int64)), reduction=r),
        lambda x, r: functional.cross_entropy(x, minidl.zeros(0, 3), reduction=r),
        lambda x, r: functional.mse_loss(x, minidl.zeros(0, 3), reduction=r),
        lambda x, r: functional.l1_loss(x, minidl.zeros(0, 3), reduction=r),
        lambda x, r: functional.hinge_embedding_loss(x, minidl.zeros(0, 3), reduction=r),
        lambda x, r: functional.binary_cross_entropy_with_logits(
            x, minidl.zeros(0, 3), reduction=r
        ),
    ],
    ids=["ce", "nll", "multi-margin", "ce-soft", "mse", "l1", "hinge", "bce"],
)
def test_empty_batch(function, kernels):
    with minidl.use_cpu_kernels(kernels), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(function(minidl.zeros(0, 3), "mean").item())
        assert function(minidl.zeros(0, 3), "sum").item() == 0
        assert function(minidl.zeros(0, 3), "none").shape[0] == 0
        x = minidl.zeros(0, 3, requires_grad=True)
        function(x, "mean").backward()
        assert x.grad.shape == (0, 3)


def test_labels_and_their_one_hot_probabilities_agree():
    x = minidl.randn(5, 4, dtype="float64")
    labels = np.array([3, 0, 1, 1, 2])
    weight = minidl.tensor([0.5, 1.0, 2.0, 3.0], dtype="float64")
    for smoothing in (0.0, 0.2):
        options = {"weight": weight, "reduction": "sum", "label_smoothing": smoothing}
        a = functional.cross_entropy(x, Tensor(labels), **options)
        b = functional.cross_entropy(x, Tensor(np.eye(4)[labels]), **options)
        assert abs(a.item() - b.item()) < 1e-12


def test_mixed_labels_are_the_mixture_of_losses():
    """What mixup relies on: the loss is linear in the target."""
    x = minidl.randn(5, 4, dtype="float64")
    a, b = np.array([3, 0, 1, 1, 2]), np.array([0, 0, 2, 3, 1])
    mixed = 0.3 * np.eye(4)[a] + 0.7 * np.eye(4)[b]
    losses = [functional.cross_entropy(x, Tensor(labels)).item() for labels in (a, b)]
    expected = 0.3 * losses[0] + 0.7 * losses[1]
    assert abs(functional.cross_entropy(x, Tensor(mixed)).item() - expected) < 1e-12


def test_cross_entropy_is_nll_of_log_softmax():
    x = minidl.randn(2, 4, 3, 5, dtype="float64")
    labels = Tensor(np.random.default_rng(0).integers(0, 4, (2, 3, 5)))
    a = functional.cross_entropy(x, labels, ignore_index=1)
    b = functional.nll_loss(functional.log_softmax(x, 1), labels, ignore_index=1)
    assert abs(a.item() - b.item()) < 1e-12


def test_binary_cross_entropy_is_that_of_two_classes():
    x = np.random.default_rng(0).standard_normal(6)
    yes = np.array([0, 1, 1, 0, 1, 0])
    a = functional.binary_cross_entropy_with_logits(Tensor(x), Tensor(yes.astype(np.float64)))
    two = Tensor(np.stack([np.zeros(6), x], axis=1))
    assert abs(a.item() - functional.cross_entropy(two, Tensor(yes)).item()) < 1e-12


def test_structured_hinge_of_a_batch_is_the_multi_margin_loss():
    """Reed et al. 2016: sum over j != i of max(0, 1 + s[i,j] - s[i,i])."""
    scores = np.random.default_rng(0).standard_normal((6, 6))
    hinge = np.maximum(0, 1 + scores - np.diag(scores)[:, None])
    expected = (hinge.sum() - np.trace(hinge)) / 6
    loss = functional.multi_margin_loss(Tensor(scores), minidl.arange(6)) * 6
    assert abs(loss.item() - expected) < 1e-12


def test_cosines_of_all_pairs_by_three_ways():
    a, b = minidl.randn(3, 5, dtype="float64"), minidl.randn(4, 5, dtype="float64")
    product = functional.normalize(a) @ functional.normalize(b).T
    broadcast = functional.cosine_similarity(a[:, None], b[None], dim=-1)
    np.testing.assert_allclose(product, broadcast, rtol=0, atol=1e-14)
    squared = functional.cdist(functional.normalize(a), functional.normalize(b)).numpy() ** 2
    np.testing.assert_allclose(1 - squared / 2, product, rtol=0, atol=1e-14)


@both_kernel_sets
def test_channels_stay_last_in_memory(kernels):
    nhwc = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)
    x = Tensor(nhwc.transpose(0, 3, 1, 2), requires_grad=True)
    strides = x.data.strides
    labels = minidl.zeros(2, 4, 5, dtype="int64")
    with minidl.use_cpu_kernels(kernels):
        for name in (
            "relu", "relu6", "leaky_relu", "tanh", "sigmoid", "softplus", "softmax", "log_softmax",
        ):  # fmt: skip
            y = FUNCTIONS[name](x)
            assert y.data.strides == strides, name
            y.backward(Tensor(np.ones_like(y.data)))
            assert x.grad.data.strides == strides, name
            x.grad = None
        functional.cross_entropy(x, labels).backward()
        assert x.grad.data.strides == strides


@both_kernel_sets
@pytest.mark.parametrize("ignore_index", [2**70, -(2**63)])
def test_an_ignore_index_that_no_label_can_be_is_never_met(ignore_index, kernels):
    x = minidl.randn(3, 4)
    with minidl.use_cpu_kernels(kernels):
        for labels in (minidl.tensor([0, 1, 3]), minidl.tensor([0, 1, 3], dtype="uint8")):
            for loss in (functional.cross_entropy, functional.nll_loss):
                expected = loss(x, labels).item()
                assert loss(x, labels, ignore_index=ignore_index).item() == expected


def test_labels_written_anew_before_backward_change_nothing():
    """A loader may reuse its buffer."""
    x = minidl.randn(4, 3, requires_grad=True)
    labels = np.array([0, 1, 2, 0])
    expected = Tensor(x.data, requires_grad=True)
    functional.cross_entropy(expected, Tensor(labels.copy())).backward()
    loss = functional.cross_entropy(x, Tensor(labels))
    labels[:] = 10**6
    loss.backward()
    np.testing.assert_array_equal(x.grad, expected.grad)


def test_no_gradient_is_kept_for_what_needs_none():
    x, target = minidl.randn(3, 4), minidl.randn(3, 4, requires_grad=True)
    functional.mse_loss(x, target).backward()
    assert x.grad is None and target.grad is not None
    for loss in (functional.relu(x), functional.cross_entropy(x, minidl.tensor([0, 1, 2]))):
        assert loss.grad_fn is None


@both_kernel_sets
def test_response_normalization_of_zeros_without_k_is_nan(kernels):
    """0 * 0^-beta, as in PyTorch, and no exception from compiled code."""
    x = minidl.zeros(1, 2, 1, 1, requires_grad=True)
    with minidl.use_cpu_kernels(kernels), np.errstate(all="ignore"):
        y = functional.local_response_norm(x, 2, k=0.0)
        y.sum().backward()
    assert np.isnan(y.data).all() and np.isnan(x.grad.data).all()
