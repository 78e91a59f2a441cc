"""Names with wrappers around them: the right network loads whole, and the report says how."""

import numpy as np
import pytest

import models
from minidl import nn
from minidl.errors import ArgumentError, CheckpointError
from minidl.io.weights.file import WeightsFile
from models import load_weights
from models.weights.convert import convert
from models.weights.load import place
from tests.models import others


def vgg(**arguments):
    return models.vgg16(**{"num_classes": 7, "size": 32, "width": 0.05, **arguments})


def resnet(**arguments):
    return models.resnet18(**{"num_classes": 7, "width": 0.05, **arguments})


NETWORKS = {
    "torchvision's names": (vgg, lambda net: others.torchvision_vgg16(net).tensors),
    "its own names": (resnet, others.arrays),
}
by_network = pytest.mark.parametrize("network", NETWORKS)


def before(prefix):
    return lambda names: {name: prefix + name for name in names}


def within(part, place):
    """A part behind the first `place` parts of each name that has more."""

    def wrap(names):
        found = {}
        for name in names:
            parts = name.split(".")
            inside = [*parts[:place], part, *parts[place:]] if len(parts) > place + 1 else parts
            found[name] = ".".join(inside)
        return found

    return wrap


# What wraps names -> what the report says came off.
WRAPPERS = {
    "module": (before("module."), ["module."]),
    "module twice": (before("module.module."), ["module."]),
    "compiled": (before("_orig_mod."), ["_orig_mod."]),
    "compiled and parallel": (before("_orig_mod.module."), ["_orig_mod.", "module."]),
    "model": (before("model."), ["model."]),
    "net": (before("net."), ["net."]),
    "network": (before("network."), ["network."]),
    "backbone": (before("backbone."), ["backbone."]),
    "encoder": (before("encoder."), ["encoder."]),
    "anything": (before("student.trunk."), ["student.trunk."]),
    "in the middle": (within("module", 1), ["module."]),
    "compiled in the middle": (within("_orig_mod", 1), ["_orig_mod."]),
    "before and in the middle": (lambda n: {
        k: f"model.{v}" for k, v in within("module", 1)(n).items()}, ["model.", "module."]),
    "sharded": (within("_fsdp_wrapped_module", 1), ["_fsdp_wrapped_module."]),
}  # fmt: skip
# What lies beside it.
BESIDE = {
    "alone": {},
    "counted": {"n_averaged": np.array(3)},
    "with a loss": {"criterion.weight": np.ones(7, np.float32), "temperature": np.ones(())},
    "with a state": {f"optimizer.state.{i}.exp_avg": np.ones(5, np.float32) for i in range(200)},
}


def assert_loaded(net, original):
    found = others.arrays(net)
    for name, array in others.arrays(original).items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@by_network
@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers(wrapper, beside, network):
    make, export = NETWORKS[network]
    wrap, taken_off = WRAPPERS[wrapper]
    original, net = others.randomised(make()), make()
    tensors = export(original)
    new = wrap(tensors)
    file = WeightsFile("pytorch", {new[name]: a for name, a in tensors.items()} | BESIDE[beside])
    report = place(net, file, "file")
    assert_loaded(net, original)
    assert report.fresh == []
    assert {row.name for row in report.unused} == set(BESIDE[beside])
    assert set("".join(report.taken_off).split(".")) == set("".join(taken_off).split("."))
    assert f"taken off names     {', '.join(report.taken_off)}" in str(report)
    assert report.as_json()["taken_off"] == report.taken_off
    assert all(row.why in file.tensors for row in report.loaded)  # the names as the file has them


@by_network
def test_nothing_comes_off_that_does_not_have_to(network):
    make, export = NETWORKS[network]
    original, net = others.randomised(make()), make()
    report = place(net, WeightsFile("pytorch", export(original)), "file")
    assert report.taken_off == [] and "taken off" not in str(report)
    assert_loaded(net, original)


def test_a_network_that_has_such_a_name_itself():
    """A user's own network, with layers called module and model."""

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.module, self.model = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3))

    original, net = others.randomised(Mine()), Mine()
    report = place(net, WeightsFile("npz", others.arrays(original)), "file")
    assert report.taken_off == [] and report.fresh == []
    assert_loaded(net, original)
    wrapped = {f"module.{name}": a for name, a in others.arrays(original).items()}
    report = place(net, WeightsFile("npz", wrapped), "file")
    assert report.taken_off == ["module."] and report.fresh == []


def test_a_backbone_beside_a_head_without_one():
    original, net = others.randomised(resnet()), resnet()
    tensors = {
        name if name.startswith("fc.") else f"backbone.{name}": array
        for name, array in others.arrays(original).items()
    }
    report = place(net, WeightsFile("safetensors", tensors), "file")
    assert report.fresh == [] and report.unused == []
    assert_loaded(net, original)


@pytest.mark.parametrize("scope", ["", "import/", "tower/import/"])
def test_scopes_of_tensorflow(scope):
    original, net = others.randomised(vgg()), vgg()
    theirs = others.slim_vgg16(original, original.features.conv5_3.out_channels, 1)
    tensors = {scope + name: array for name, array in theirs.tensors.items()}
    report = place(net, WeightsFile("tensorflow", tensors, "HWIO", "HWC"), "file")
    assert report.fresh == [] and report.taken_off == ([scope] if scope else [])
    assert report.names == "TensorFlow slim"
    assert len(place(vgg(), WeightsFile("tensorflow", tensors), "f", prefix=scope).loaded) == 32


def test_names_of_very_many_parts():
    """What is in front is looked for in the first of them."""
    tensors = {".".join(f"{i}" * 400): np.zeros(1, np.float32) for i in range(10)}
    with pytest.raises(CheckpointError, match="no tensor of the file has a place"):
        place(resnet(), WeightsFile("npz", tensors), "file")


def test_other_classes_behind_a_wrapper():
    net = resnet(num_classes=3)
    wrapped = before("module.")(others.arrays(resnet()))
    file = WeightsFile("pytorch", {wrapped[n]: a for n, a in others.arrays(resnet()).items()})
    report = place(net, file, "file")
    assert [row.why for row in report.fresh] == ["the file has 7 classes"] * 2


# --- several copies -----------------------------------------------------------------------------


def copies(*fronts):
    """A file that has a network several times, and the networks."""
    networks = {front: others.randomised(resnet(), seed=i) for i, front in enumerate(fronts)}
    tensors = {
        front + name: array
        for front, net in networks.items()
        for name, array in others.arrays(net).items()
    }
    return WeightsFile("pytorch", tensors), networks


@pytest.mark.parametrize(
    "plain, average",
    [("model.", "ema_model."), ("module.", "ema.module."), ("", "ema."), ("net.", "model_ema."),
     ("model.", "swa_model."), ("model.net.", "model.net_ema.")],
)  # fmt: skip
def test_the_network_is_taken_not_its_average(plain, average):
    file, networks = copies(average, plain)
    net = resnet()
    report = place(net, file, "file")
    assert_loaded(net, networks[plain])
    assert "has this network several times" in report.notes[-1] and average in report.notes[-1]
    for prefix in (average, average.rstrip(".")):
        report = place(net, file, "file", prefix=prefix)
        assert_loaded(net, networks[average])
        assert report.notes == [] or "several" not in report.notes[-1]


def test_an_average_alone_is_taken():
    file, networks = copies("ema.")
    net = resnet()
    assert place(net, file, "file").taken_off == ["ema."]
    assert_loaded(net, networks["ema."])


@pytest.mark.parametrize(
    "lacks, fresh",
    [(["fc.bias"], ()), (["fc.weight", "fc.bias"], ()), (["conv1.weight"], ()),
     (["layer4.0", "layer4.1"], ()), (["layer3", "layer4"], ["layer3", "layer4"])],
)  # fmt: skip
@pytest.mark.parametrize("plain", ["model.", ""])
def test_an_average_does_not_win_by_being_whole(plain, lacks, fresh):
    file, networks = copies("ema_model.", plain)
    for name in list(file.tensors):
        if name.startswith(tuple(plain + lack for lack in lacks)):
            del file.tensors[name]
    net = resnet()
    report = place(net, file, "file", fresh=fresh)
    assert "has this network several times" in report.notes[-1]
    assert "not 'ema_model.'" in report.notes[-1]
    found, theirs = others.arrays(net), others.arrays(networks[plain])
    for row in report.loaded:
        np.testing.assert_array_equal(found[row.name], theirs[row.name], err_msg=row.name)
    assert all(row.name.startswith(tuple(lacks)) for row in report.fresh)


def test_a_network_for_other_classes_beside_its_momentum():
    def made(classes):
        return others.randomised(resnet(num_classes=classes))

    tensors = {f"net.{name}": a for name, a in others.arrays(made(5)).items()}
    tensors |= {f"momentum_net.{name}": a + 1 for name, a in others.arrays(made(10)).items()}
    file = WeightsFile("pytorch", tensors)
    with pytest.raises(CheckpointError, match="this network 2 times"):
        place(resnet(num_classes=10), file, "file")
    report = place(resnet(num_classes=10), file, "file", prefix="net")
    assert [row.why for row in report.fresh] == ["the file has 5 classes"] * 2


def test_a_wrong_network_is_explained_whichever_copy_is_taken():
    """Another width: no tensor has the network's size."""
    file, _ = copies("ema.", "net.")
    with pytest.raises(CheckpointError, match="shapes differ"):
        place(resnet(width=0.1), file, "file")


def test_equal_copies_are_one():
    file, networks = copies("net.")
    for alias in ("model.", "ema."):
        tensors = {name.replace("net.", alias): a.copy() for name, a in file.tensors.items()}
        both = WeightsFile("pytorch", tensors | file.tensors)
        net = resnet()
        report = place(net, both, "file")
        assert report.notes == [] and report.fresh == []
        assert_loaded(net, networks["net."])
    teacher = {f"teacher.{n}": a for n, a in others.arrays(others.randomised(resnet(), 9)).items()}
    with pytest.raises(CheckpointError, match="this network 2 times"):
        place(net, WeightsFile("pytorch", both.tensors | teacher), "file")


@pytest.mark.parametrize("fronts", [("student.", "teacher."), ("a.net.", "b.net.", "c.net.")])
def test_two_networks_are_explained_and_can_be_chosen(fronts):
    file, networks = copies(*fronts)
    net = resnet()
    initial = others.arrays(net)
    with pytest.raises(CheckpointError) as caught:
        place(net, file, "file")
    text = str(caught.value)
    assert f"the file has this network {len(fronts)} times" in text
    assert all(repr(front) in text for front in fronts) and f"prefix={fronts[0]!r}" in text
    np.testing.assert_array_equal(others.arrays(net)["conv1.weight"], initial["conv1.weight"])
    report = place(net, file, "file", prefix=fronts[1])
    assert_loaded(net, networks[fronts[1]])
    assert report.taken_off == [fronts[1]]


def test_wrong_prefixes():
    file, _ = copies("student.", "teacher.")
    with pytest.raises(ArgumentError, match="no name of the file begins so") as caught:
        place(resnet(), file, "file", prefix="studant")
    assert "did you mean student" in str(caught.value)
    with pytest.raises(ArgumentError, match="prefix is a text"):
        place(resnet(), file, "file", prefix=3)


def test_an_empty_prefix_is_none():
    file, networks = copies("", "ema.")
    net = resnet()
    assert place(net, file, "file", prefix="").taken_off == []
    assert_loaded(net, networks[""])


# --- mostly fresh -------------------------------------------------------------------------------


def test_a_file_of_which_little_fits_is_an_error():
    net = resnet()
    initial = others.arrays(net)
    tensors = {name: a for name, a in others.arrays(resnet()).items() if "layer1" in name}
    file = WeightsFile("npz", tensors | {"other.weight": np.ones((3, 3), np.float32)})
    with pytest.raises(CheckpointError) as caught:
        place(net, file, "file")
    for text in ("20 tensors of the network, and 80 would keep", "conv1.weight", "other.weight",
                 "partial=True loads what there is"):  # fmt: skip
        assert text in str(caught.value)
    for name, array in others.arrays(net).items():
        np.testing.assert_array_equal(array, initial[name])
    assert len(place(net, file, "file", partial=True).loaded) == 24
    asked = ["conv1", "bn1", "layer2", "layer3", "layer4"]
    assert len(place(net, file, "file", fresh=asked).loaded) == 24
    with pytest.raises(ArgumentError, match="partial is a bool"):
        place(net, file, "file", partial="no")


def test_the_last_layer_is_no_half_of_a_network():
    """Six tensors of the convolutions and two of the last layer, against eight that are missing."""
    net = models.alexnet(num_classes=7, widths=(4, 8, 8, 8, 4), size=67)
    parts = [f"features.conv{i}." for i in (1, 2, 3)] + ["classifier.fc8."]
    tensors = {n: a for n, a in others.arrays(net).items() if n.startswith(tuple(parts))}
    with pytest.raises(CheckpointError, match="the file has 6 tensors of the network, and 8 would"):
        place(net, WeightsFile("npz", tensors), "file")
    tensors |= {n: a for n, a in others.arrays(net).items() if n.startswith("features.conv4.")}
    assert len(place(net, WeightsFile("npz", tensors), "file").loaded) == 10


@pytest.mark.torch
def test_through_a_file(tmp_path):
    """From the disk, and converted."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    original, net = others.randomised(resnet()), resnet()
    tensors = {name: torch.from_numpy(a) for name, a in others.arrays(original).items()}
    average = {name: tensor + 1 for name, tensor in tensors.items()}
    path = tmp_path / "run.pth"
    torch.save({"n_averaged": torch.tensor(3), **before_all("module.", tensors)}, path)
    assert load_weights(net, path).taken_off == ["module."]
    assert_loaded(net, original)
    torch.save(before_all("module.", tensors), path)
    assert load_weights(net, path).taken_off == ["module."]
    torch.save({"model": tensors, "model_ema": average, "epoch": 3}, path)
    report = load_weights(net, path)
    assert_loaded(net, original)
    assert "model_ema." in report.notes[-1]
    out = tmp_path / "ours.safetensors"
    small = {"width": 0.05}
    convert(path, "resnet18", out, arguments=small, prefix="model_ema")
    load_weights(net, out)
    np.testing.assert_array_equal(
        others.arrays(net)["conv1.weight"], average["conv1.weight"].numpy()
    )
    torch.save({"student": before_all("module.", tensors), "teacher": average}, path)
    with pytest.raises(CheckpointError, match="2 times"):
        load_weights(net, path)
    load_weights(net, path, prefix="student", strict=False)
    assert_loaded(net, original)
    both = {**before_all("model.student.", tensors), **before_all("model.teacher.", average)}
    torch.save(both, path)
    for prefix in ("model.student", "model.student."):
        report = load_weights(net, path, prefix=prefix)
        assert_loaded(net, original)
        assert report.taken_off == ["model.student."]
        assert all(row.why in both for row in report.loaded)
        assert {row.name for row in report.unused} == set(before_all("model.teacher.", average))
    few = {name: tensor for name, tensor in tensors.items() if name.startswith("layer1.")}
    torch.save(before_all("model.", few), path)
    assert load_weights(net, path, partial=True).taken_off == ["model."]


def before_all(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}
