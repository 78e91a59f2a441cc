"""Weights made for pixels of 0 to 255 give the same features, on another scale."""

import numpy as np
import pytest

import minidl
import models
from apps.shared.pixel_range import DEVIATION, to_unit_variance
from minidl.data.transforms import Compose
from models.weights.maps import Preprocessing
from models.weights.report import Report, Row

BYTES = Preprocessing.of_bytes(120.0, 110.0, 100.0)


def network(name="vgg11", **arguments):
    minidl.manual_seed(1)
    net = models.build(name, num_classes=5, width=0.125, **arguments).eval()
    for parameter_name, parameter in net.named_parameters():
        if parameter_name.endswith("bias"):
            parameter.data[...] = np.random.default_rng(2).normal(size=parameter.shape) * 20
    return net


def report_of(net, fresh="classifier", preprocessing=BYTES):
    rows = [Row(name, tensor.shape) for name, tensor in net.named_parameters()]
    loaded = [row for row in rows if not row.name.startswith(fresh)]
    rest = [row for row in rows if row.name.startswith(fresh)]
    return Report(
        "f", "npz", "Caffe", "VGG", loaded=loaded, fresh=rest, preprocessing=preprocessing
    )


def test_features_are_those_of_the_file_divided():
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    net = network(size=40)
    before = net.features(batch(BYTES.transforms(), picture)).data.copy()
    kept = {name: p.data.copy() for name, p in net.named_parameters() if "weight" in name}
    report = report_of(net)
    to_unit_variance(net, report)
    after = net.features(batch(report.preprocessing.transforms(), picture)).data
    np.testing.assert_allclose(after * DEVIATION, before, rtol=1e-4, atol=1e-3 * before.max())
    assert before.max() > 10
    assert all((net.state_dict()[name].data == value).all() for name, value in kept.items())
    assert "divided by 58" in report.notes[0]


def batch(steps, picture):
    x = np.asarray(Compose(steps)(picture))
    return minidl.tensor(x[None])


@pytest.mark.parametrize(
    "net, report_options",
    [
        (network(size=40), {"fresh": "nothing"}),  # all layers are loaded: scores would change
        (network("vgg11_bn", size=40), {}),  # batch norm divides by the deviation itself
        (network("alexnet", size=67), {}),  # LRN is not homogeneous
        (network(size=40), {"fresh": "features"}),  # fresh layers before loaded ones
        (network(size=40), {"preprocessing": None}),
        (network(size=40), {"preprocessing": Preprocessing((0.5,) * 3, (0.25,) * 3)}),
    ],
)
def test_left_alone_where_it_would_not_be_exact_or_is_not_needed(net, report_options):
    report = report_of(net, **report_options)
    before = {name: p.data.copy() for name, p in net.named_parameters()}
    to_unit_variance(net, report)
    assert all((p.data == before[name]).all() for name, p in net.named_parameters())
    assert report.preprocessing == report_options.get("preprocessing", BYTES) and not report.notes
