"""Numbers of NumPy's where a number is asked for: taken, and worth what Python's are."""

import numpy as np
import pytest

import minidl
from minidl import data, nn
from minidl.errors import MinidlError
from minidl.nn import functional as F

rng = np.random.default_rng(0)
x, signs = minidl.tensor(rng.standard_normal((4, 4)), dtype="float32"), minidl.ones(4, 4)
maps = minidl.tensor(rng.standard_normal((2, 4, 3, 3)), dtype="float32")
labels = minidl.tensor([0, 1, 2, 3])


def seeded(function, *arguments):
    minidl.manual_seed(0)
    return function(*arguments)


def running_mean(v):
    layer = nn.BatchNorm2d(4, eps=v, momentum=v)
    layer(maps)
    return layer.running_mean


FUNCTIONS = {
    "leaky_relu": lambda v: F.leaky_relu(x, v),
    "softplus": lambda v: F.softplus(x, v, v),
    "dropout": lambda v: seeded(F.dropout, x, v),
    "dropout2d": lambda v: seeded(F.dropout2d, maps, v),
    "batch_norm": lambda v: F.batch_norm(maps, None, None, training=True, momentum=v, eps=v),
    "instance_norm": lambda v: F.instance_norm(maps, momentum=v, eps=v),
    "local_response_norm": lambda v: F.local_response_norm(maps, 2, alpha=v, beta=v, k=v),
    "cross_entropy": lambda v: F.cross_entropy(x, labels, label_smoothing=v),
    "multi_margin_loss": lambda v: F.multi_margin_loss(x, labels, margin=v),
    "hinge_embedding_loss": lambda v: F.hinge_embedding_loss(x, signs, margin=v),
    "cosine_similarity": lambda v: F.cosine_similarity(x, signs, eps=v),
    "pairwise_distance": lambda v: F.pairwise_distance(x, signs, p=1 + v, eps=v),
    "normalize": lambda v: F.normalize(x, p=1 + v, eps=v),
    "norm": lambda v: x.norm(v),
    "clamp": lambda v: x.clamp(v / 2, v),
    "clamp-min": lambda v: x.clamp(min=v),
    "allclose": lambda v: minidl.tensor(minidl.allclose(x, x + 0.4, v, v)),
    "interpolate": lambda v: F.interpolate(maps, scale_factor=1 + v),
    "masked_fill": lambda v: x.masked_fill(x > 0, v),
    "BatchNorm2d": lambda v: running_mean(v),
    "Dropout": lambda v: seeded(nn.Dropout(v), x),
    "Mixup": lambda v: minidl.tensor(data.Mixup(data.DataLoader(digits(), 8), v, 10).alpha),
    "split_dataset": lambda v: minidl.tensor(data.split_dataset(digits(), v)[1].labels),
    "RandomHorizontalFlip": lambda v: minidl.tensor(data.transforms.RandomHorizontalFlip(v).p),
}


def digits():
    return data.open_dataset("digits", "test")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_fractions(name, dtype):
    expected, y = FUNCTIONS[name](0.5), FUNCTIONS[name](np.dtype(dtype).type(0.5))
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.data, expected.data)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"split_dataset"}))
def test_whole_numbers(name):
    expected, y = FUNCTIONS[name](1), FUNCTIONS[name](np.int64(1))
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.data, expected.data)


def test_the_power_of_multi_margin_loss():
    expected = F.multi_margin_loss(x, labels, p=2)
    assert F.multi_margin_loss(x, labels, p=np.int8(2)).item() == expected.item()


def test_bounds_of_integers_stay_integers():
    y = minidl.arange(5).clamp(np.int8(1), np.uint64(3))
    assert y.dtype == np.int64 and y.tolist() == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("value", ["0.5", None, 0.5j, np.complex64(0.5), [0.5], True])
@pytest.mark.parametrize("name", ["cross_entropy", "leaky_relu", "batch_norm", "dropout", "norm"])
def test_what_is_no_number(name, value):
    with pytest.raises(MinidlError, match=name):
        FUNCTIONS[name](value)
