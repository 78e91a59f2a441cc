"""load_weights: class-count surgery, reports, and files that do not fit."""

import doctest
import json

import numpy as np
import pytest

import minidl
import models
import models.weights.convert
import models.weights.maps.preprocessing
import models.weights.published
from minidl import nn
from minidl.errors import ArgumentError, CheckpointError
from minidl.io import save_checkpoint
from minidl.io.weights.file import WeightsFile
from models import load_weights
from models.registry import arguments_of
from models.weights.fit import heads_of
from models.weights.load import place
from tests.models import others


def vgg(**arguments):
    return models.vgg16(**{"num_classes": 7, "size": 64, "width": 0.05, **arguments})


def vgg_file(**arguments):
    return others.torchvision_vgg16(others.randomised(vgg(**arguments)))


def refused(model, file, *says, kind=CheckpointError, **options):
    """place raises an error with these texts, and the model is as it was."""
    before = others.arrays(model)
    with pytest.raises(kind) as caught:
        place(model, file, "some/file.pth", **options)
    for text in says:
        assert text in str(caught.value)
    for name, array in others.arrays(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    return str(caught.value)


# --- the number of classes ----------------------------------------------------------------------


def test_another_number_of_classes():
    net = vgg(num_classes=17)
    initial = others.arrays(net)
    report = place(net, vgg_file(num_classes=1000), "file")
    assert [(row.name, row.shape) for row in report.fresh] == [
        ("classifier.fc8.weight", (17, 205)), ("classifier.fc8.bias", (17,)),
    ]  # fmt: skip
    assert all(row.why == "the file has 1,000 classes" for row in report.fresh)
    assert [row.name for row in report.unused] == ["classifier.6.weight", "classifier.6.bias"]
    found = others.arrays(net)
    for name in ("classifier.fc8.weight", "classifier.fc8.bias"):
        np.testing.assert_array_equal(found[name], initial[name])
    assert len(report.loaded) == 30
    assert report.parameters == sum(found[row.name].size for row in report.loaded)


def test_auxiliary_heads_are_made_anew_too():
    theirs = models.googlenet(num_classes=12, width=0.1)
    net = models.googlenet(num_classes=7, width=0.1)
    report = place(net, others.caffe_googlenet(others.randomised(theirs)), "file")
    assert {row.name for row in report.fresh} == {
        f"{layer}.{part}" for layer in ("fc", "aux1.fc2", "aux2.fc2") for part in ("weight", "bias")
    }
    headless = models.googlenet(num_classes=12, width=0.1, aux_logits=False)
    report = place(headless, others.caffe_googlenet(others.randomised(theirs)), "file")
    assert report.fresh == [] and len(report.unused) == 12


@pytest.mark.parametrize("name", [name for name in models.names() if "1001" not in name])
def test_heads_are_the_layers_with_a_score_for_each_class(name):
    small = {"width": 0.1} if "width" in arguments_of(name) and "cifar" not in name else {}
    few, many = (models.build(name, num_classes=n, **small).state_dict() for n in (5, 6))
    differ = {key.rpartition(".")[0] for key in few if few[key].shape != many[key].shape}
    assert differ <= set(heads_of(models.build(name, num_classes=5, **small)))


def test_the_last_layer_of_a_network_of_your_own():
    def net(classes):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(36, classes))

    file = WeightsFile("npz", others.arrays(others.randomised(net(5))))
    report = place(net(3), file, "file")
    assert [row.name for row in report.fresh] == ["2.weight", "2.bias"]
    assert report.names == "minidl" and report.preprocessing is None


# --- other differences --------------------------------------------------------------------------


def test_pictures_of_another_size():
    file = vgg_file(size=64)
    text = refused(
        vgg(size=128), file, "the shapes differ in 1 tensor\n", "some/file.pth",
        "classifier.fc6.weight", "the file has (205, 104), the model (205, 416)",
        "pictures of another size", "fresh=['classifier.fc6']",
    )  # fmt: skip
    assert "Traceback" not in text
    report = place(vgg(size=128), file, "file", fresh=["classifier.fc6"])
    assert [(row.name, row.why) for row in report.fresh] == [
        ("classifier.fc6.weight", "as asked"), ("classifier.fc6.bias", "as asked"),
    ]  # fmt: skip


def run_of(tmp_path, name, **arguments):
    """The file of a run's network."""
    net = models.build(name, **arguments)
    path = tmp_path / f"{name}.safetensors"
    save_checkpoint(path, net, meta={"model": name, "model_arguments": arguments})
    return path


@pytest.mark.parametrize(
    "name, theirs, ours, says",
    [
        ("vgg16", {"head": "average"}, {}, "made with head='average', this one with head='fc'"),
        ("vgg16", {"head": "average", "size": 96}, {"dropout": 0.5},
         "made with size=96, head='average', this one with size=64, head='fc'"),
        ("vgg16_bn", {"width": 0.1}, {"num_classes": 9},
         "made with batch_norm=True, width=0.1, this one with batch_norm=False, width=0.05"),
        ("vgg19", {"width": 0.1}, {}, "the file's network is vgg19, this one vgg16"),
    ],
)  # fmt: skip
def test_what_a_run_was_made_with(tmp_path, name, theirs, ours, says):
    small = {"num_classes": 7, "size": 64, "width": 0.05}
    path = run_of(tmp_path, name, **{**small, **theirs})
    net = models.build("vgg16", **{**small, **ours})
    with pytest.raises(CheckpointError) as caught:
        load_weights(net, path)
    assert says in caught.value.hint and "another size" not in caught.value.hint


def test_another_network_of_the_same_family_is_noted(tmp_path, monkeypatch):
    """Each of its tensors finds a place, but conv1_1 feeds conv2_1 here and conv1_2 there."""
    path, small = tmp_path / "mine.npz", {"num_classes": 7, "size": 64, "width": 0.05}
    mine = models.weights.published.Published("mine", "vgg16", "", path.name, "", 1)
    monkeypatch.setitem(models.weights.published.PUBLISHED, "mine", mine)
    np.savez(path, **others.arrays(vgg()))
    for net, ours in ((models.build("vgg11", **small), "vgg11"), (models.vgg11(**small), "is not")):
        with pytest.raises(CheckpointError, match="of another, larger network: 5 kernels") as e:
            load_weights(net, path)
        assert "features.conv1_2.weight" in str(e.value) and "partial=True" in str(e.value)
        report = load_weights(net, path, partial=True)
        assert (len(report.loaded), len(report.fresh), len(report.unused)) == (22, 0, 10)
        (note,) = report.notes
        assert note.startswith(f"the file's network is vgg16, this one {ours}: layers of one name")
        assert f"note: {note}" in str(report)
    for net in (models.build("vgg16", **small), vgg()):
        assert load_weights(net, path).notes == []
    with pytest.raises(CheckpointError):
        load_weights(models.vgg16c(**small), path)
    report = models.weights.convert.convert(
        path, "vgg11", tmp_path / "a.npz", arguments=small, partial=True
    )
    assert "the file's network is vgg16, this one vgg11" in report.notes[0]


def test_a_run_of_another_depth_is_noted(tmp_path):
    path = run_of(tmp_path, "resnet32_cifar", num_classes=7, width=0.25)
    for net, ours in ((models.build("resnet20_cifar", num_classes=7, width=0.25), "resnet20_cifar"),
                      (models.resnet20_cifar(num_classes=7, width=0.25), "is not")):  # fmt: skip
        with pytest.raises(CheckpointError, match="larger network: 12 kernels within parts of"):
            load_weights(net, path)
        report = load_weights(net, path, partial=True)
        assert f"network is resnet32_cifar, this one {ours}: layers of one" in report.notes[0]
        assert report.fresh == [] and len(report.unused) == 6 * 2 * 6
        text = str(report)  # of two layers of six tensors in each of six blocks, one is a counter
        assert "unused in the file  60\n" in text and "num_batches_tracked" not in text
        assert "and 52 more" in text
    for name in ("resnet32_cifar", "preact_resnet32_cifar"):
        path = run_of(tmp_path, name, num_classes=7, width=0.25)
        for net in (models.build(name, num_classes=3, width=0.25),
                    getattr(models, name)(num_classes=7, width=0.25)):  # fmt: skip
            assert load_weights(net, path).notes == []


def test_what_a_run_was_made_with_is_noted(tmp_path):
    path = run_of(tmp_path, "lenet", num_classes=7, activation="tanh")
    (note,) = load_weights(models.build("lenet", num_classes=7), path).notes
    assert "made with activation='tanh', this one with activation='relu': layers" in note
    path = run_of(tmp_path, "alexnet", num_classes=7, widths=(4, 8, 8, 8, 4), size=67)
    net = models.build("alexnet", num_classes=5, widths=(4, 8, 8, 8, 4), size=67)
    assert load_weights(net, path).notes == []  # JSON has made a list of the tuple


def test_no_size_is_claimed_where_the_head_is_another(tmp_path):
    """Of a file that does not say what its network was made with."""
    for theirs, ours in (({"head": "average"}, {}), ({}, {"head": "average"})):
        file = WeightsFile("npz", others.arrays(vgg(**theirs)))
        text = refused(vgg(**ours), file, "classifier.fc8.weight", "weights of another arch")
        assert "another size" not in text


@pytest.mark.parametrize(
    "meta",
    [
        {"model": ["vgg16"]}, {"model": "no such"}, {"model": "vgg16", "model_arguments": 3},
        {"model_arguments": {"head": "fc"}}, {"model": "vgg16"},
        {"model": "vgg16", "model_arguments": {"head": "x" * 5000, "unknown": 1}},
    ],
)  # fmt: skip
def test_what_a_damaged_run_says_of_itself(meta):
    net = models.build("vgg16", num_classes=7, size=64, width=0.05)
    text = refused(net, WeightsFile("safetensors", others.arrays(vgg(size=96)), meta=meta))
    assert len(text) < 1500
    if not isinstance(meta.get("model_arguments"), dict) or "model" not in meta:
        assert "made with" not in text and "another size" in text


def test_groups_of_layers_can_be_fresh():
    net = vgg()
    initial = others.arrays(net)
    report = place(net, vgg_file(), "file", fresh="classifier")
    assert len(report.fresh) == 6 and len(report.loaded) == 26
    for name, array in others.arrays(net).items():
        assert np.array_equal(array, initial[name]) == name.startswith("classifier.")


def test_colour_weights_in_a_grey_network():
    refused(
        vgg(in_channels=1), vgg_file(), "(3, 3, 3, 3), the model (3, 1, 3, 3)",
        "these weights see 3 channels, the model 1: make it with in_channels=3",
    )  # fmt: skip


def test_another_architecture():
    refused(
        models.resnet18(num_classes=7, width=0.05), vgg_file(),
        "no tensor of the file has a place in ResNet",
        "'features.0.weight'", "'conv1.weight'", "and 27 more",
        "weights of another architecture, or unknown names",
    )  # fmt: skip
    refused(vgg(), others.torchvision_vgg11_bn(models.vgg11_bn(num_classes=7, size=64, width=0.05)),
            "the shapes differ in", "weights of another architecture?")  # fmt: skip
    refused(models.vgg19(num_classes=7, size=64, width=0.05), vgg_file(),
            "the shapes differ in", "weights of another architecture?")  # fmt: skip


@pytest.mark.parametrize(
    "options, says",
    [
        ({"fresh": ["classifier.fc9"]}, ["no such layer", "did you mean classifier.fc"]),
        ({"fresh": 5}, ["fresh is a list of names of layers", "5"]),
        ({"by": "shape"}, ['by is "name" or "order"']),
        ({"channel_order": "rgb"}, ['channel_order is "RGB" or "BGR"']),
    ],
)
def test_wrong_options(options, says):
    with pytest.raises(ArgumentError) as caught:
        load_weights(vgg(), "vgg16-hed", **options) if "fresh" not in options else place(
            vgg(), vgg_file(), "file", **options
        )
    for text in says:
        assert text in str(caught.value)
    with pytest.raises(ArgumentError, match="model is a minidl Module"):
        load_weights("vgg16", "vgg16-hed")


def test_strict():
    file = vgg_file()
    place(vgg(num_classes=3), file, "file", strict=True)  # the last layer may differ
    file.tensors["extra"] = np.zeros(3, np.float32)
    del file.tensors["features.5.bias"]
    refused(vgg(), file, "1 name is missing in the file and 1 left over",
            "features.conv2_1.bias", "extra", strict=True)  # fmt: skip
    report = place(vgg(), file, "file")
    assert [row.name for row in report.fresh] == ["features.conv2_1.bias"]
    assert [row.name for row in report.unused] == ["extra"]


def test_by_order():
    original, net = others.randomised(vgg()), vgg()
    file = others.torchvision_vgg16(original)
    unknown = {f"w{i}": array for i, array in enumerate(file.tensors.values())}
    refused(vgg(), WeightsFile("npz", unknown), "no tensor of the file", "by='order'")
    report = place(net, WeightsFile("npz", unknown), "file", by="order")
    assert report.names == "none, by order" and len(report.loaded) == 32
    for name, array in others.arrays(original).items():
        np.testing.assert_array_equal(others.arrays(net)[name], array, err_msg=name)
    del unknown["w3"]
    refused(vgg(), WeightsFile("npz", unknown), "the shapes differ in", by="order")


@pytest.mark.parametrize("format, meta", [("safetensors", {}), ("keras", {"layer_names": {}})])
def test_no_order_where_the_names_are_sorted(format, meta):
    """beta comes before gamma, gamma before moving_mean: by order, each would be another one."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 4))
    tensors = {f"w{i}": array for i, array in enumerate(others.arrays(net).values())}
    file = WeightsFile(format, tensors, meta=meta)
    text = refused(net, file, "no tensor of the file", "or unknown names")
    assert "order" not in text
    refused(net, file, f"a {format} file has its tensors sorted by name", "'w0', 'w1'", ".npz",
            kind=ArgumentError, by="order")  # fmt: skip
    keras2 = WeightsFile("keras", tensors, meta={"keras_version": "2.4.0"})
    refused(net, keras2, "by='order' goes by order")
    assert len(place(net, keras2, "a.h5", by="order").loaded) == 8


def test_by_order_of_a_safetensors_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    with pytest.raises(ArgumentError, match="sorted by name"):
        load_weights(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), path, by="order")


ODD = [
    np.zeros(()), np.zeros(0), np.zeros((0, 3, 3, 3)), np.zeros((2, 0, 3, 3)), np.zeros((3, 2)),
    np.zeros((1, 1, 1, 1)), np.zeros((4, 7), np.int64), np.zeros((5, 5), np.complex64),
    np.zeros((0, 416)), np.zeros((1, 2, 3, 4, 5)), np.zeros(3, bool),
]  # fmt: skip
COUNTS = (3, 4, 6, 3)


@pytest.mark.parametrize(
    "make, export",
    [
        (vgg, others.torchvision_vgg16),
        (vgg, others.matconvnet_plain),
        (vgg, lambda m: others.keras_vgg16(m, m.features.conv5_3.out_channels, 2)),
        (lambda: models.resnet50(num_classes=7, width=0.05),
         lambda m: others.caffe_resnet(m, COUNTS)),
        (lambda: models.resnet50(num_classes=7, width=0.05),
         lambda m: others.matconvnet_resnet(m, COUNTS, 1e-5)),
        (lambda: models.resnet50(num_classes=7, width=0.05),
         lambda m: others.keras_resnet(m, COUNTS, 1e-5)),
    ],
)  # fmt: skip
def test_tensors_of_odd_shapes(make, export):
    """Whatever a file has under the right names: it is loaded, or an error says what is wrong."""
    net, rng, refusals = make(), np.random.default_rng(0), 0
    whole = export(net).tensors
    for name in list(whole)[::7] + list(whole)[-4:]:
        tensors = {**whole, name: ODD[rng.integers(len(ODD))]}
        before = others.arrays(net)
        try:
            place(net, WeightsFile("npz", tensors, "HWIO", "HWC"), "file")
        except CheckpointError as error:
            refusals += 1
            says = ("differ", "no array of numbers", "made of whole numbers")
            assert any(text in str(error) for text in says)
            for key, array in others.arrays(net).items():
                np.testing.assert_array_equal(array, before[key])
    assert refusals > 2


# --- the report ---------------------------------------------------------------------------------


def test_report():
    file = vgg_file(num_classes=1000)
    file.tensors |= {f"other.{i}": np.zeros((2, 2), np.float32) for i in range(20)}
    report = place(vgg(), file, "weights.pth")
    lines = str(report).splitlines()
    assert lines[0] == "weights of VGG from weights.pth (pytorch, names: torchvision)"
    assert lines[1] == f"  loaded              30 tensors ({report.parameters:,} parameters)"
    assert lines[2] == "  initialised afresh  2"
    assert lines[3] == "    classifier.fc8.weight  (7, 205)  the file has 1,000 classes"
    assert lines[5] == "  unused in the file  22"
    assert "    and 14 more" in lines and len(lines) < 20
    content = json.loads(json.dumps(report.as_json()))
    assert content["loaded"][0] == {
        "name": "features.conv1_1.weight", "shape": [3, 3, 3, 3], "from": "features.0.weight",
    }  # fmt: skip
    assert content["fresh"][1]["why"] == "the file has 1,000 classes"
    assert len(content["unused"]) == 22 and content["parameters"] == report.parameters
    assert content["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert content["names"] == "torchvision" and content["notes"] == []


# --- files --------------------------------------------------------------------------------------


def test_our_own_checkpoint(tmp_path):
    original = others.randomised(models.resnet18(num_classes=7, width=0.05))
    steps = [{"name": "ToFloat"}, {"name": "Normalize", "mean": [0.1, 0.2, 0.3], "std": [1, 2, 3]}]
    save_checkpoint(tmp_path / "a.safetensors", original, meta={"preprocessing": steps})
    net = models.resnet18(num_classes=3, width=0.05).eval()
    report = load_weights(net, tmp_path / "a.safetensors")
    assert report.names == "minidl" and [row.name for row in report.fresh] == [
        "fc.weight", "fc.bias",
    ]  # fmt: skip
    assert report.preprocessing.mean == (0.1, 0.2, 0.3) and report.preprocessing.std == (1, 2, 3)
    for name, array in others.arrays(original).items():
        if not name.startswith("fc."):
            np.testing.assert_array_equal(others.arrays(net)[name], array, err_msg=name)


@pytest.mark.parametrize(
    "steps",
    [
        7, "oops", "[", [{"name": "Normalize"}], [{"name": "Normalize", "mean": "x", "std": 1}],
        [3], {"name": 1}, "[" * 10_000,
        *([{"name": "Normalize", "mean": mean, "std": std}] for mean, std in (
            ([10**400], [1]), ([float("nan")], [1]), (0.5, float("inf")), ([0.5], [0]),
            ([0.5], [-1]), ([], []), ([0.1, 0.2, 0.3], [1]), ({}, {}), (None, 1),
        )),
        '[{"name": "Normalize", "mean": [NaN], "std": [1]}]',
    ],
)  # fmt: skip
def test_strange_preprocessing_is_none(tmp_path, steps):
    save_checkpoint(tmp_path / "a.safetensors", models.lenet5(), meta={"preprocessing": steps})
    assert load_weights(models.lenet5(), tmp_path / "a.safetensors").preprocessing is None


def test_float64_networks(tmp_path):
    original = others.randomised(models.lenet5())
    save_checkpoint(tmp_path / "a.safetensors", original)
    net = models.lenet5().to("float64")
    load_weights(net, tmp_path / "a.safetensors")
    assert net.classifier[5].weight.dtype == np.float64
    np.testing.assert_array_equal(
        net.classifier[5].weight.detach().numpy(), original.classifier[5].weight.detach().numpy()
    )


@pytest.mark.parametrize(
    "where, says",
    [
        ("nothing.pth", ["no such file"]),
        ("nowhere/at/all", ["no such file"]),
        ("vgg16-head", ["no published weights of that name", "did you mean vgg16-hed?"]),
        ("resnet50-torchvison", ["did you mean resnet50-torchvision?"]),
        (300 * "a", ["no published weights of that name"]),
        ("/dev/zero", ["expects a file, this is a device"]),
        ("folder", ["expects a file, this is a folder", "in it: a.npz, b.keras"]),
        ("broken.npz", ["broken.npz"]),
        ("broken.pth", ["broken.pth"]),
    ],
)
def test_wrong_files(where, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "folder" / "a.npz", a=np.zeros(3))
    (tmp_path / "folder" / "b.keras").touch()
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    (tmp_path / "broken.pth").write_bytes(b"oops")
    net = models.lenet5()
    before = others.arrays(net)
    with pytest.raises(CheckpointError) as caught:
        load_weights(net, where)
    for text in says:
        assert text in str(caught.value)
    for name, array in others.arrays(net).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("path", [None, 3, "", "a\0b"])
def test_no_paths(path):
    with pytest.raises(ArgumentError, match="path_or_name is a path"):
        load_weights(models.lenet5(), path)


@pytest.mark.parametrize(
    "module",
    [
        models.weights.load, models.weights.fit, models.weights.report, models.weights.convert,
        models.weights.published, models.weights.maps.preprocessing,
    ],
    ids=lambda m: m.__name__,
)  # fmt: skip
def test_examples_run(module):
    assert not doctest.testmod(module, extraglobs={"minidl": minidl}).failed
