"""What is converted beside names and layout, with numbers that show a wrong conversion."""

import numpy as np
import pytest

import minidl
import models
from minidl import nn
from minidl.errors import CheckpointError
from minidl.io.weights.file import WeightsFile
from models.weights.load import place
from tests.models import others


def vgg(**arguments):
    return models.vgg16(**{"num_classes": 7, "size": 64, "width": 0.05, **arguments}).eval()


def convolved(pixels, kernel, bias):
    """A 3x3 convolution with padding 1, in float64; pixels (H, W, C), kernel (R, S, C, K)."""
    height, width, _ = pixels.shape
    padded = np.pad(pixels.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((height, width, kernel.shape[3]))
    for r in range(3):
        for s in range(3):
            out += padded[r : r + height, s : s + width] @ kernel[r, s].astype(np.float64)
    return out + bias


def test_blue_green_red_minus_a_mean():
    """From the bytes of a picture: Caffe's way by hand, ours with the report's preprocessing."""
    original, net = others.randomised(vgg()), vgg()
    file = others.caffe_plain(original)
    report = place(net, file, "file")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    pixels[..., 0] //= 4  # a bluish picture
    mean = np.array([103.939, 116.779, 123.68])
    kernel = file.tensors["conv1_1.weight"].transpose(2, 3, 1, 0)
    expected = convolved(pixels[..., ::-1] - mean, kernel, file.tensors["conv1_1.bias"])
    x = minidl.data.transforms.Compose(report.preprocessing.transforms())(pixels)
    y = net.features.conv1_1(minidl.tensor(x[None])).detach().numpy()[0].transpose(1, 2, 0)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-3)
    wrong = convolved(pixels - mean, kernel, file.tensors["conv1_1.bias"])
    assert np.abs(wrong - expected).max() > 10


def test_channel_order_is_an_option():
    original = others.randomised(vgg())
    kernel = original.features.conv1_1.weight.detach().numpy()
    for order, expected in (("RGB", kernel[:, ::-1]), ("BGR", kernel), (None, kernel)):
        net = vgg()
        place(net, others.caffe_plain(original), "file", channel_order=order)
        np.testing.assert_array_equal(net.features.conv1_1.weight.detach().numpy(), expected)


def test_grey_weights_have_no_order_of_colours():
    original, net = others.randomised(vgg(in_channels=1)), vgg(in_channels=1)
    file = others.torchvision_vgg16(original)
    place(net, file, "file", channel_order="BGR")
    x = others.picture(64, channels=1)
    np.testing.assert_array_equal(net(x).detach().numpy(), original(x).detach().numpy())


@pytest.mark.parametrize("library", ["Keras", "MatConvNet"])
def test_another_eps(library):
    """Batch norms of 0.05 in the network; theirs are 1.001e-5, and 1e-4 inside the moments."""
    original = others.randomised(models.resnet50(num_classes=7, width=0.05, stride_in="1x1"))
    net = models.resnet50(num_classes=7, width=0.05, stride_in="1x1").eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.05
    if library == "Keras":
        # others.keras_resnet takes 1e-5 for ours: its variances mean eps = 1.001e-5.
        file = others.keras_resnet(original, (3, 4, 6, 3), 1.001e-5)
    else:
        file = others.matconvnet_resnet(original, (3, 4, 6, 3), 1e-5)
    place(net, file, "file")
    x = others.picture(64)
    y, expected = net(x).detach().numpy(), original(x).detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    mine = original.layer2[0].bn1.running_var.numpy() + 1e-5
    np.testing.assert_allclose(net.layer2[0].bn1.running_var.numpy() + 0.05, mine, rtol=1e-4)


def test_a_batch_norm_without_scale():
    net = models.resnet18(num_classes=7, width=0.05)
    file = others.caffe_resnet(others.randomised(models.resnet50(num_classes=7, width=0.05)),
                               (3, 4, 6, 3))  # fmt: skip
    only = {name: a for name, a in file.tensors.items() if name.startswith(("conv1", "bn_conv1"))}
    net.bn1.weight.data[...] = 5
    report = place(net, WeightsFile("caffe", only), "file", partial=True)
    assert "bn1.weight" in {row.name for row in report.loaded}
    np.testing.assert_array_equal(net.bn1.weight.detach().numpy(), 1)
    np.testing.assert_array_equal(net.bn1.bias.detach().numpy(), 0)


@pytest.mark.parametrize("order", ["CHW", "HWC"])
def test_flattened_maps_by_order(order):
    """A LeNet of a library that flattens (H, W, C): its scores from its own arithmetic."""
    original = others.randomised(models.lenet5())
    own = others.arrays(original)
    if order == "HWC":
        own["classifier.1.weight"] = others.pixels_last(own["classifier.1.weight"], 16, 5)
    named = {f"layer{i}": array for i, array in enumerate(own.values())}
    net = models.lenet5().eval()
    report = place(net, WeightsFile("npz", named, flatten_order=order), "file", by="order")
    assert len(report.loaded) == 10 and report.fresh == [] == report.unused
    x = others.picture(32, channels=1)
    np.testing.assert_array_equal(net(x).detach().numpy(), original(x).detach().numpy())


def test_heads_of_googlenet_are_flattened_too():
    original = others.randomised(models.googlenet(num_classes=7, width=0.1))
    net = models.googlenet(num_classes=7, width=0.1)
    file = others.caffe_googlenet(original)
    maps = original.aux1.conv.out_channels
    for head in ("loss1/fc", "loss2/fc"):
        file.tensors[f"{head}.weight"] = others.pixels_last(file.tensors[f"{head}.weight"], maps, 4)
    place(net, WeightsFile("npz", file.tensors, "HWIO", "HWC"), "file")
    for name, array in others.arrays(original).items():
        np.testing.assert_array_equal(others.arrays(net)[name], array, err_msg=name)


def test_maps_that_are_not_square_are_left_and_said():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 2 * 3, 5))
    file = WeightsFile("npz", others.arrays(others.randomised(net)), "HWIO", "HWC")
    copy = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 2 * 3, 5))
    report = place(copy, file, "file")
    assert "2 was taken as it is" in report.notes[0] and "4 square maps" in report.notes[0]
    np.testing.assert_array_equal(copy[2].weight.detach().numpy(), file.tensors["2.weight"])
    assert place(copy, WeightsFile("npz", file.tensors), "file").notes == []


# --- what cannot be converted is said -----------------------------------------------------------


def notes(model, file):
    return " ".join(place(model, file, "file").notes)


def test_the_stride_of_bottlenecks():
    def resnet(stride_in):
        return models.resnet50(num_classes=7, width=0.05, stride_in=stride_in)

    theirs = others.caffe_resnet(resnet("1x1"), (3, 4, 6, 3))
    assert "stride_in='1x1'" not in notes(resnet("1x1"), theirs)
    assert "first pooling has no padding in front" in notes(resnet("1x1"), theirs)
    assert "for stride_in='1x1', the model has stride_in='3x3'" in notes(resnet("3x3"), theirs)
    torch_file = others.same_names(resnet("3x3"))
    assert notes(resnet("3x3"), torch_file) == ""
    assert "for stride_in='3x3', the model has stride_in='1x1'" in notes(resnet("1x1"), torch_file)
    assert notes(models.resnet18(num_classes=7, width=0.05),
                 others.same_names(models.resnet18(num_classes=7, width=0.05))) == ""  # fmt: skip
    assert "last unit of a block" in notes(
        resnet("1x1"), others.slim_resnet(resnet("1x1"), (3, 4, 6, 3))
    )


def test_the_constants_of_local_response_normalization():
    def alexnet(lrn):
        return models.alexnet(num_classes=7, size=131, width=0.0625, lrn=lrn)

    file = others.caffe_plain(alexnet("caffe"))
    assert notes(alexnet("caffe"), file) == ""
    assert "lrn='caffe'" in notes(alexnet("paper"), file)
    file.meta["net"] = "CaffeNet"
    assert "CaffeNet pools before it normalizes" in notes(alexnet("caffe"), file)


def test_googlenet_of_torchvision():
    def googlenet(**arguments):
        return models.googlenet_torchvision(num_classes=7, width=0.1, **arguments)

    report = place(googlenet(), others.same_names(googlenet()), "file")
    assert "heads of its published file are not trained" in report.notes[0]
    assert report.preprocessing.mean == (0.5, 0.5, 0.5) == report.preprocessing.std
    report = place(googlenet(transform_input=True), others.same_names(googlenet()), "file")
    assert report.preprocessing.mean == (0.485, 0.456, 0.406)


def test_onnx_without_names():
    net = models.resnet18(num_classes=7, width=0.05)
    own = others.arrays(net)
    tensors = {"fc.weight": own["fc.weight"], "fc.bias": own["fc.bias"],
               "onnx::Conv_193": own["conv1.weight"]}  # fmt: skip
    file = WeightsFile("onnx", tensors)
    assert "do_constant_folding=False" in str(place(net, file, "file", partial=True))
    with pytest.raises(CheckpointError, match="do_constant_folding=False"):
        place(net, file, "file")


@pytest.mark.parametrize(
    "export, mean",
    [
        (others.torchvision_vgg16, "mean 0.485, 0.456, 0.406, standard deviation 0.229"),
        (others.caffe_plain, "0 to 255 minus 123.68, 116.78, 103.94 (red, green, blue)"),
        (others.matconvnet_plain, "0 to 255 minus 123.68, 116.78, 103.94 (red, green, blue)"),
    ],
)
def test_preprocessing(export, mean):
    assert mean in str(place(vgg(), export(vgg()), "file"))


def test_a_bias_in_front_of_an_addition_is_no_part_of_the_next_blocks_mean():
    """Behind conv2 a block adds its input, and the sum goes on past the next batch norm, too."""
    minidl.manual_seed(0)
    theirs = models.preact_resnet20_cifar(bias=True)
    state = {name: tensor.numpy().copy() for name, tensor in theirs.state_dict().items()}
    for name in state:
        if name.endswith("bias") and "conv" in name:
            state[name] += 1
    model = models.preact_resnet20_cifar()
    report = place(model, WeightsFile("safetensors", state), "a.safetensors")
    own = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    inner, behind = "layer1.0.bn2.running_mean", "layer1.1.bn1.running_mean"
    np.testing.assert_array_equal(own[inner], state[inner] - state["layer1.0.conv1.bias"])
    np.testing.assert_array_equal(own[behind], state[behind])
    unused = {row.name for row in report.unused}
    assert "layer1.0.conv2.bias" in unused and "layer1.0.conv1.bias" not in unused
