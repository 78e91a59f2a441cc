"""Changes of what the discriminator sees: of one kind for real and drawn ones, each its own."""

import numpy as np
import pytest

import minidl
from apps.draw.changes import changed, outside_of_holes, some_changes
from minidl.tensor import Tensor
from tests.apps.draw.test_step import parts, step

SIZE = 16


def test_a_hole_is_a_square_that_the_edge_may_cut():
    kept = outside_of_holes(np.array([[4, 6], [-4, 12], [15, -7]]), SIZE)
    assert kept.shape == (3, 1, SIZE, SIZE) and kept.dtype == np.float32
    expected = np.ones((3, SIZE, SIZE))
    expected[0, 4:12, 6:14] = 0
    expected[1, :4, 12:] = 0
    expected[2, 15:, :1] = 0
    np.testing.assert_array_equal(kept[:, 0], expected)


def test_every_pixel_moves_as_far_and_is_hidden_about_as_often():
    found = some_changes("translation-cutout", "real", 4000, SIZE, np.random.default_rng(0))
    moves, kept = found["real_moves"].numpy(), found["real_kept"].numpy()
    assert moves.min() == -2 and moves.max() == 2 and len(np.unique(moves, axis=0)) == 25
    hidden = 1 - kept.mean((0, 1))
    middle = hidden[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4]
    np.testing.assert_allclose(middle, 0.25, atol=0.03)  # half of the rows, half of the columns
    assert 0.05 < hidden[0, 0] < hidden[0, SIZE // 2] < 0.2


def test_kinds():
    random = np.random.default_rng(0)
    assert some_changes("none", "new", 3, SIZE, random) == {}
    assert set(some_changes("translation", "new", 3, SIZE, random)) == {"new_moves"}
    pictures = minidl.ones(3, 3, SIZE, SIZE)
    assert changed(pictures, {}, "new") is pictures


def test_the_gradient_passes_back_through_the_change():
    found = some_changes("translation-cutout", "new", 4, SIZE, np.random.default_rng(1))
    pictures = minidl.ones(4, 3, SIZE, SIZE, requires_grad=True)
    y = changed(pictures, found, "new")
    y.sum().backward()
    assert pictures.grad.numpy().sum() == y.detach().numpy().sum()
    (down, right), kept = found["new_moves"].numpy()[0], found["new_kept"].numpy()[0, 0]
    row, column = np.argwhere(kept[4:-4, 4:-4] == 1)[0] + 4  # where it is seen, and whence it came
    assert pictures.grad.numpy()[0, :, row - down, column - right].tolist() == [1, 1, 1]


@pytest.mark.parametrize("one_batch", [False, True])
def test_the_discriminator_sees_nothing_else(pairs, one_batch):
    settings, model, optimizers, batch = parts(
        pairs, gan="cls-int", changes="translation-cutout", one_batch=one_batch
    )
    for which, n in (("real", 8), ("drawn", 8), ("new", 12)):
        assert batch[f"{which}_moves"].shape == (n, 2)
        batch[f"{which}_kept"] = Tensor(np.zeros((n, 1, 32, 32), np.float32))  # all is hidden
    seen = []
    model["discriminator"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    look = model["discriminator"].look
    model["discriminator"].look = lambda pictures: seen.append(pictures) or look(pictures)
    step(settings, model, optimizers, batch)
    assert len(seen) >= 3 and not any(pictures.detach().numpy().any() for pictures in seen)


def test_resumed_batches_are_changed_in_the_same_way(pairs):
    first, second = (parts(pairs, gan="cls", changes="translation")[3] for _ in range(2))
    np.testing.assert_array_equal(first["drawn_moves"].numpy(), second["drawn_moves"].numpy())
    assert (first["drawn_moves"].numpy() != first["real_moves"].numpy()).any()
