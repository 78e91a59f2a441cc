"""Mixup: what it mixes, and that the position in the data alone decides it."""

import numpy as np
import pytest

import minidl
from minidl.data import DataLoader, Mixup
from minidl.errors import ArgumentError
from tests.training.small import Digits


def loader(**options):
    return DataLoader(Digits(), **{"batch_size": 5, "shuffle": True, "seed": 3, **options})


def batches(mixed):
    return [(x.numpy().copy(), t.numpy().copy()) for x, t in mixed]


def test_each_picture_is_blended_as_its_label_says():
    """The share of the batch's own picture is read from the labels, then checked on the pixels."""
    blended = 0
    for (x, labels), (mixed, t) in zip(loader(), batches(Mixup(loader(), 1.0, 3)), strict=True):
        x, labels = x.numpy(), labels.numpy()
        assert t.shape == (len(labels), 3) and t.dtype == mixed.dtype == np.float32
        np.testing.assert_allclose(t.sum(1), 1, rtol=1e-6)
        # One lam for the whole batch: where the partner is of another class it can be read off.
        other = np.array([np.count_nonzero(row) == 2 for row in t])
        assert other.any()
        own = t[np.arange(len(t)), labels]
        lam = own[other][0]
        np.testing.assert_allclose(own[other], lam, rtol=1e-5)
        np.testing.assert_allclose(own[~other], 1, rtol=1e-6)

        def looks_like(i, j, x=x, mixed=mixed, lam=lam):
            return np.allclose(lam * x[i] + (1 - lam) * x[j], mixed[i], atol=1e-5)

        n = range(len(x))
        partner = [[j for j in n if looks_like(i, j)] for i in n]
        found = [js[0] for js in partner]
        assert all(len(js) == 1 for js in partner) and sorted(found) == list(range(len(x)))
        expected = lam * np.eye(3)[labels] + (1 - lam) * np.eye(3)[labels[found]]
        np.testing.assert_allclose(t, expected, atol=1e-6)
        blended += other.sum()
    assert blended > 8


def test_lam_follows_its_distribution():
    """Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1))."""
    x, labels = minidl.tensor([[0.0], [1.0]]), minidl.tensor([0, 1])
    for alpha in (0.2, 2.0):
        mixed, rng = Mixup(loader(), alpha, 2), np.random.default_rng(0)
        shares = [mixed.mix(x, labels, rng)[1].numpy()[0, 0] for _ in range(4000)]
        shares = np.array([share for share in shares if share != 1])  # 1: mixed with itself
        assert abs(shares.mean() - 0.5) < 0.03
        assert abs(shares.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def test_the_same_from_any_position_on():
    whole = [batches(mixed) for mixed in [Mixup(loader(num_workers=2), 0.4, 3)] for _ in range(2)]
    for epoch in range(2):
        for batch in range(5):
            later = Mixup(loader(num_workers=0), 0.4, 3)
            later.load_state_dict({"epoch": epoch, "batch": batch})
            assert later.state_dict() == {"epoch": epoch, "batch": batch}
            rest = batches(later)
            assert len(rest) == 5 - batch
            for (x, t), (expected_x, expected_t) in zip(rest, whole[epoch][batch:]):
                np.testing.assert_array_equal(x, expected_x)
                np.testing.assert_array_equal(t, expected_t)
    assert not np.array_equal(whole[0][0][1], whole[1][0][1])


def test_any_batch_can_be_asked_for():
    mixed, asked = Mixup(loader(num_workers=2), 0.4, 3), Mixup(loader(), 0.4, 3)
    for epoch in range(2):
        for b, (x, t) in enumerate(batches(mixed)):
            other_x, other_t = asked.batch(epoch, b)
            np.testing.assert_array_equal(x, other_x.numpy())
            np.testing.assert_array_equal(t, other_t.numpy())


def test_memory_layout_is_kept():
    rng = np.random.default_rng(0)
    x = minidl.tensor(rng.random((4, 5, 6, 3), np.float32)).permute(0, 3, 1, 2)
    mixed, _ = Mixup(loader(), 0.4, 3).mix(x, minidl.tensor([0, 1, 2, 0]), rng)
    assert mixed.shape == (4, 3, 5, 6) and mixed.data.strides == x.data.strides


@pytest.mark.parametrize(
    "arguments, says",
    [
        (([], 0.2, 3), "loader is a DataLoader"),
        ((None, 0, 3), "alpha is a number > 0"),
        ((None, float("nan"), 3), "alpha is a number > 0"),
        ((None, "1", 3), "alpha is a number > 0"),
        ((None, 0.2, 0), "num_classes is an int >= 1"),
        ((None, 0.2, 2.0), "num_classes is an int >= 1"),
    ],
)
def test_refuses(arguments, says):
    source, *others = arguments
    with pytest.raises(ArgumentError, match=says):
        Mixup(loader() if source is None else source, *others)


def test_a_label_without_a_class():
    with pytest.raises(ArgumentError, match="labels run from 0 to 1"):
        next(iter(Mixup(loader(), 0.2, 2)))
