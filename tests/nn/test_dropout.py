"""The random masks: the generator behind them, and what they depend on."""

import math

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError
from minidl.kernels.reference.dropout import philox, random_words
from minidl.nn.functional import dropout

# Known answers of Random123 (D. E. Shaw Research), file tests/kat_vectors, philox4x32 10:
# counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("counter, key, result", KNOWN_ANSWERS)
def test_reference_philox_known_answers(counter, key, result):
    arrays = [np.array([word], np.uint64) for word in words(counter)]
    assert [int(word[0]) for word in philox(arrays, words(key))] == words(result)


@pytest.mark.parametrize("counter, key, result", KNOWN_ANSWERS)
def test_numba_philox_known_answers(counter, key, result):
    from minidl.kernels.cpu.dropout import philox

    arguments = [np.uint64(word) for word in words(counter) + words(key)]
    assert [int(word) for word in philox(*arguments)] == words(result)


def test_words_continue_where_the_counter_says():
    seed = 2**40 + 7
    together = random_words(20, seed, 2**32 - 2)  # the counter passes into its second word
    np.testing.assert_array_equal(together[8:20], random_words(12, seed, 2**32))
    assert len(set(together.tolist())) == 20


def run(x, p=0.3, seed=5, kernels="numba"):
    minidl.manual_seed(seed)
    with minidl.use_cpu_kernels(kernels):
        return dropout(minidl.Tensor(x), p).numpy()


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (6, 35), (211,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mask_depends_on_indices_alone(shape, dtype):
    """Not on the kernel set, the memory layout or the dtype."""
    expected = run(np.ones(shape)) > 0
    x = np.ones(shape, dtype)
    larger = np.ones([2 * size for size in shape], dtype)
    layouts = [x, np.asfortranarray(x), larger[tuple(slice(None, None, 2) for _ in shape)]]
    if len(shape) == 4:
        layouts.append(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    for kernels in ("reference", "numba"):
        for array in layouts:
            np.testing.assert_array_equal(run(array, kernels=kernels) > 0, expected)


def test_seed_and_position_move_the_mask():
    x = np.ones((40, 40))
    first = run(x)
    np.testing.assert_array_equal(first, run(x))
    assert (first != run(x, seed=6)).any()
    minidl.manual_seed(5)
    dropout(minidl.Tensor(x), 0.3)
    state = minidl.random.get_state()
    second = dropout(minidl.Tensor(x), 0.3).numpy()
    assert (first != second).any()
    minidl.random.set_state(state)
    np.testing.assert_array_equal(dropout(minidl.Tensor(x), 0.3).numpy(), second)


def test_the_mask_does_not_repeat_from_call_to_call():
    """Calls take consecutive stretches of one stream, without overlap."""
    minidl.manual_seed(5)
    parts = [dropout(minidl.ones(n), 0.5).numpy() for n in (64, 64, 128)]
    minidl.manual_seed(5)
    np.testing.assert_array_equal(np.concatenate(parts), dropout(minidl.ones(256), 0.5).numpy())


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_and_scale(p):
    n = 100_000
    y = run(np.ones(n), p)
    dropped = (y == 0).sum()
    assert abs(dropped - n * p) < 5 * math.sqrt(n * p * (1 - p))  # five standard deviations
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p))


def test_neighbours_are_independent():
    kept = (run(np.ones(200_000), 0.5) > 0).astype(float)
    for distance in (1, 2, 3, 4, 5, 8):
        correlation = np.corrcoef(kept[:-distance], kept[distance:])[0, 1]
        assert abs(correlation) < 5 / math.sqrt(len(kept))


def test_both_kernel_sets_use_all_bits_of_seed_and_counter():
    x = np.ones((5, 21), np.float32)
    masks = []
    for seed, counter in ((3, 0), (3 + 2**32, 0), (2**62 + 3, 0), (3, 2**32 - 4), (3, 2**33)):
        for kernels in ("reference", "numba"):
            minidl.manual_seed(seed)
            minidl.random.next_counters(counter)
            with minidl.use_cpu_kernels(kernels):
                masks.append(dropout(minidl.Tensor(x), 0.5).numpy())
        np.testing.assert_array_equal(masks[-2], masks[-1])
    assert len({mask.tobytes() for mask in masks}) == 5


def test_gradient_is_the_mask():
    x = minidl.tensor(np.full((3, 2, 5, 4), 7.0), requires_grad=True)
    minidl.manual_seed(3)
    y = dropout(x, 0.4)
    dropout(x, 0.4)  # later draws must not matter
    y.backward(np.ones(x.shape))
    np.testing.assert_allclose(x.grad.numpy(), y.detach().numpy() / 7)


def test_nan_stays_visible():
    assert np.isnan(run(np.full(100, np.nan, np.float32), 0.9)).all()


def test_layers_drop_in_training_only():
    x = minidl.ones(4, 8, 3, 3)
    for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5)):
        assert (layer(x).numpy() == 0).any()
        assert layer.eval()(x) is x
        assert repr(layer).endswith("(p=0.5)")


def test_dropout2d_drops_whole_channels():
    minidl.manual_seed(0)
    y = nn.Dropout2d(0.5)(minidl.ones(16, 32, 3, 2)).numpy()
    per_channel = y.reshape(16, 32, 6)
    assert (per_channel == per_channel[:, :, :1]).all()
    assert set(np.unique(y)) == {0.0, 2.0}


@pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout2d])
def test_mistakes(layer):
    with pytest.raises(ArgumentError, match="p is a probability"):
        layer(1.1)
