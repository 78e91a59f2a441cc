"""The energy equals the sum over patches that it stands for, and so does its gradient."""

import numpy as np
import pytest

import minidl
from apps.style.cnnmrf.energy import StylePatches, patch_energy
from minidl.debug import gradcheck
from minidl.ops.match_patches import patch_places


def features(*shape, seed=0):
    return minidl.tensor(np.random.default_rng([seed, *shape]).standard_normal(shape))


def all_patches(x, patch, stride):
    rows, columns = (patch_places(size, patch, stride) for size in x.shape[2:])
    return np.array([
        x.data[0, :, a : a + patch, b : b + patch].ravel() for a in rows for b in columns
    ])  # fmt: skip


def matched(x, copies, patch, stride):
    """The patch of a copy that belongs to each patch of x, by brute force."""
    wanted = all_patches(x, patch, stride)
    candidates = np.concatenate([all_patches(copy, patch, stride) for copy in copies])
    lengths = np.linalg.norm(candidates, axis=1)
    return wanted, candidates, candidates[(wanted @ candidates.T / lengths).argmax(1)]


@pytest.mark.parametrize("patch, stride", [(3, 1), (3, 2), (2, 2), (1, 1), (4, 3), (2, 3)])
@pytest.mark.parametrize("n_copies", [1, 3])
def test_energy_is_the_sum_over_patches(patch, stride, n_copies):
    x = features(1, 5, 9, 8)
    copies = [features(1, 5, 8 + i, 10 - i, seed=1 + i) for i in range(n_copies)]
    patches = StylePatches(copies, patch, stride)
    target = patches.match(x)
    wanted, candidates, found = matched(x, copies, patch, stride)
    expected = ((wanted - found) ** 2).sum()
    scale = len(wanted) * (candidates**2).sum(1).mean()
    energy = patch_energy(x, patches, target).item()
    assert energy == pytest.approx(expected / scale, rel=1e-12)
    norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    assert target.correlation == pytest.approx(((wanted * found).sum(1) / norms).mean(), rel=1e-12)


@pytest.mark.parametrize("patch, stride", [(3, 1), (3, 2), (2, 3)])
def test_gradient_of_the_energy(patch, stride):
    x = features(1, 4, 7, 8)
    patches = StylePatches([features(1, 4, 6, 9, seed=1)], patch, stride)
    target = patches.match(x)
    x.requires_grad = True
    assert gradcheck(lambda x: patch_energy(x, patches, target) * 100, [x])


@pytest.mark.parametrize("patch, stride", [(3, 1), (3, 2), (2, 3)])
def test_reference_gradient_is_the_mean_over_covering_patches(patch, stride):
    x = features(1, 4, 7, 8)
    copies = [features(1, 4, 6, 9, seed=1)]
    patches = StylePatches(copies, patch, stride)
    x.requires_grad = True
    energy = patch_energy(x, patches, patches.match(x), "reference")
    energy.backward()
    wanted, candidates, found = matched(x, copies, patch, stride)
    sums, coverage = np.zeros(x.shape[1:]), np.zeros(x.shape[2:])
    rows, columns = (patch_places(size, patch, stride) for size in x.shape[2:])
    places = [(a, b) for a in rows for b in columns]
    for (a, b), p, q in zip(places, wanted, found):
        sums[:, a : a + patch, b : b + patch] += (p - q).reshape(-1, patch, patch)
        coverage[a : a + patch, b : b + patch] += 1
    expected = sums / np.maximum(coverage, 1)
    gradient = x.grad.data[0]
    factor = (gradient * expected).sum() / (expected**2).sum()
    assert factor > 0
    np.testing.assert_allclose(gradient, factor * expected, rtol=0, atol=1e-15)
    true = minidl.tensor(x.data.copy(), requires_grad=True)
    patch_energy(true, patches, patches.match(true)).backward()
    cosine = (gradient * true.grad.data[0]).sum()
    cosine /= np.linalg.norm(gradient) * np.linalg.norm(true.grad.data)
    alike = len(np.unique(coverage[coverage > 0])) == 1
    assert cosine == pytest.approx(1) if alike else 0.5 < cosine < 0.9999  # but downhill


def test_energy_is_zero_at_the_style_itself():
    style = features(1, 6, 10, 9)
    patches = StylePatches([style], 3, 1)
    target = patches.match(style)
    assert target.correlation == pytest.approx(1, abs=1e-12)
    assert patch_energy(style, patches, target).item() == pytest.approx(0, abs=1e-12)


def test_of_features_of_zero_the_energy_is_one():
    """On average: where each patch of the style is matched once."""
    style = features(1, 6, 10, 9)
    patches = StylePatches([style], 3, 1)
    target = patches.match(style)
    zeros = minidl.zeros(*style.shape, dtype="float64")
    assert patch_energy(zeros, patches, target).item() == pytest.approx(1, rel=1e-12)
