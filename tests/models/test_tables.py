"""Parameters and multiply-accumulates, to the digit: the tables of the papers and of the files."""

import re

import pytest

import models
from minidl.debug import summary
from models.inception import AuxiliaryHead, Inception, NaiveInception

pytestmark = pytest.mark.usefixtures("undrawn")

# name, arguments -> parameters, multiply-accumulates, or how many million of them.
TABLE = [
    ("lenet", {}, 61_706, 416_520),
    ("lenet5_1998", {}, 60_000, 325_680),
    ("lenet_caffe", {}, 431_080, 2_293_000),
    ("alexnet", {}, 60_965_224, 724_406_816),
    ("alexnet_one_tower", {}, 62_378_344, 1_135_256_096),
    ("alexnet_torchvision", {}, 61_100_840, 714_188_480),
    ("googlenet", {}, 13_378_280, 1_582_671_872),
    ("googlenet", {"aux_logits": False}, 6_998_552, 1_582_671_872),
    ("googlenet_torchvision", {}, 13_004_888, 1_498_376_192),
    ("googlenet_torchvision", {"aux_logits": False}, 6_624_904, 1_498_376_192),
    ("googlenet_naive", {}, 104_274_376, 12_568_061_056),
    ("vgg11", {}, 132_863_336, 7_609_090_048),
    ("vgg13", {}, 133_047_848, 11_308_466_176),
    ("vgg16", {}, 138_357_544, 15_470_264_320),
    ("vgg16", {"num_classes": 17}, 134_330_193, 15_470_264_320 - 983 * 4096),
    ("vgg16c", {}, 133_638_952, 11_770_888_192),
    ("vgg19", {}, 143_667_240, 19_632_062_464),
    ("vgg11_bn", {}, 132_868_840, 7_609_090_048),
    ("vgg13_bn", {}, 133_053_736, 11_308_466_176),
    ("vgg16_bn", {}, 138_365_992, 15_470_264_320),
    ("vgg19_bn", {}, 143_678_248, 19_632_062_464),
    ("resnet18", {}, 11_689_512, 1_814_073_344),
    ("resnet34", {}, 21_797_672, 3_663_761_408),
    ("resnet50", {}, 25_557_032, 4_089_184_256),
    ("resnet101", {}, 44_549_160, 7_801_405_440),
    ("resnet152", {}, 60_192_808, 11_513_626_624),
    ("resnet50", {"stride_in": "1x1"}, 25_557_032, 3_857_973_248),
    ("resnet101", {"stride_in": "1x1"}, 44_549_160, 7_570_194_432),
    ("resnet152", {"stride_in": "1x1"}, 60_192_808, 11_282_415_616),
    ("resnet20_cifar", {}, 269_722, 40_551_040),
    ("resnet32_cifar", {}, 464_154, 68_862_592),
    ("resnet44_cifar", {}, 658_586, 97_174_144),
    ("resnet56_cifar", {}, 853_018, 125_485_696),
    ("resnet110_cifar", {}, 1_727_962, 252_887_680),
    ("resnet20_cifar", {"shortcut": "B"}, 272_474, 40_551_040 + 2 * 131_072),
    ("resnet110_cifar", {"shortcut": "B"}, 1_730_714, 252_887_680 + 2 * 131_072),
    ("plain20_cifar", {}, 269_722, 40_551_040),
    ("preact_resnet20_cifar", {}, 269_722, 40_551_040),
    ("preact_resnet32_cifar", {}, 464_154, 68_862_592),
    ("preact_resnet44_cifar", {}, 658_586, 97_174_144),
    ("preact_resnet56_cifar", {}, 853_018, 125_485_696),
    ("preact_resnet110_cifar", {}, 1_727_962, 252_887_680),
    ("preact_resnet20_cifar", {"bias": True}, 270_410, 40_551_040),
    ("preact_resnet32_cifar", {"bias": True}, 465_290, 68_862_592),
    ("preact_resnet44_cifar", {"bias": True}, 660_170, 97_174_144),
    ("preact_resnet56_cifar", {"bias": True}, 855_050, 125_485_696),
    ("preact_resnet110_cifar", {"bias": True}, 1_732_010, 252_887_680),
    ("preact_resnet20_cifar", {"bias": True, "shortcut": "avg"}, 270_410, 40_551_040),
    ("preact_resnet164_cifar", {}, 1_703_258, 247_646_720),
    ("preact_resnet1001_cifar", {}, 10_327_706, 1_490_995_712),
    ("squeezenet", {}, 1_235_496, 387_747_520),
    ("squeezenet", {"num_classes": 17}, 731_217, 387_747_520 - 983 * 512 * 14 * 14),
    ("efficientnet_lite0", {}, 4_652_008, 385_187_552),
    ("efficientnet_lite0", {"num_classes": 17}, 3_392_785, 385_187_552 - 983 * 1280),
    ("airbench_cifar", {}, 1_968_090, 113_626_816),
    ("airbench_cifar", {"width": 0.75}, 1_109_786, 65_656_896),
]
QUICK = 2e9  # multiply-accumulates up to which a forward pass is in the quick tests


@pytest.mark.parametrize("name, arguments, parameters, macs", TABLE)
def test_parameters(name, arguments, parameters, macs):
    net = models.build(name, **arguments)
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    if not arguments:
        known = models.entry(name)
        assert (known.parameters, known.macs) == (parameters, macs)


def test_every_network_is_in_the_table():
    missing = {*models.names()} - {name for name, *_ in TABLE}
    assert not missing, f"TABLE lacks the parameters and multiply-accumulates of {missing}"


def passes(name, arguments, macs):
    size = models.entry(name).size
    net = models.build(name, **arguments)
    channels = net.in_channels
    assert summary(net, (1, channels, size, size)).macs == macs


@pytest.mark.parametrize("name, arguments, _, macs", [row for row in TABLE if row[3] <= QUICK])
def test_multiply_accumulates(name, arguments, _, macs):
    passes(name, arguments, macs)


@pytest.mark.slow
@pytest.mark.parametrize("name, arguments, _, macs", [row for row in TABLE if row[3] > QUICK])
def test_multiply_accumulates_of_large_networks(name, arguments, _, macs):
    passes(name, arguments, macs)


def rows(net, shape):
    """path -> (parameters, multiply-accumulates) of the layers that have weights."""
    layers = summary(net, shape).layers
    return {layer.path: (layer.parameters, layer.macs) for layer in layers if layer.parameters}


def test_layers_of_alexnet():
    assert rows(models.alexnet(), (1, 3, 227, 227)) == {
        "features.conv1": (34_944, 105_415_200),
        "features.conv2": (307_456, 223_948_800),
        "features.conv3": (885_120, 149_520_384),
        "features.conv4": (663_936, 112_140_288),
        "features.conv5": (442_624, 74_760_192),
        "classifier.fc6": (37_752_832, 37_748_736),
        "classifier.fc7": (16_781_312, 16_777_216),
        "classifier.fc8": (4_097_000, 4_096_000),
    }


def test_layers_of_lenet_1998():
    found = rows(models.lenet5_1998(), (1, 1, 32, 32))
    c3 = [found.pop(path) for path in list(found) if path.startswith("c3.")]
    assert [sum(column) for column in zip(*c3)] == [1_516, 150_000]
    assert found == {
        "c1": (156, 117_600), "s2": (12, 0), "s4": (32, 0), "c5": (48_120, 48_000),
        "f6": (10_164, 10_080),
    }  # fmt: skip


def test_layers_of_squeezenet():
    """Of a fire module the squeezing, and the expansions together."""
    found = rows(models.squeezenet(), (1, 3, 227, 227))
    assert found["features.conv1"] == (1_792, 22_064_832)
    assert found["classifier.conv10"] == (513_000, 100_352_000)
    assert found["features.fire2.squeeze1x1"] == (1_040, 3_211_264)
    assert found["features.fire2.expand1x1"] == (1_088, 3_211_264)
    assert found["features.fire2.expand3x3"] == (9_280, 28_901_376)
    assert found["features.fire9.squeeze1x1"] == (32_832, 6_422_528)
    assert found["features.fire9.expand1x1"] == (16_640, 3_211_264)
    assert found["features.fire9.expand3x3"] == (147_712, 28_901_376)
    assert len(found) == 2 + 8 * 3


ROWS = {  # of EfficientNet-Lite0: last block, parameters of a row with batch norms, and MACs
    "0": (0, 896, 10_035_200),
    "1-2": (2, 13_968, 54_942_720),
    "3-4": (4, 39_712, 37_933_056),
    "5-7": (7, 198_480, 43_512_000),
    "8-10": (10, 446_784, 86_007_936),
    "11-14": (14, 1_652_640, 91_158_816),
    "15": (15, 605_440, 29_409_408),
}


def test_rows_of_efficientnet_lite0():
    found = rows(models.efficientnet_lite0(), (1, 3, 224, 224))
    blocks = {}
    for path, (parameters, macs) in found.items():
        place = re.match(r"blocks\.(\d+)\.", path)
        if place:
            row = next(row for row, (last, *_) in ROWS.items() if int(place[1]) <= last)
            before = blocks.get(row, (0, 0))
            blocks[row] = (before[0] + parameters, before[1] + macs)
    assert blocks == {row: figures[1:] for row, figures in ROWS.items()}
    assert found["stem"] == (864, 10_838_016) and found["bn0"] == (64, 0)
    assert found["head"] == (409_600, 20_070_400) and found["bn1"] == (2_560, 0)
    assert found["blocks.11.depthwise"] == (16_800, 672 * 25 * 49)
    assert found["fc"] == (1_281_000, 1_280_000)


BLOCKS = {  # of GoogLeNet: parameters, multiply-accumulates, and those of the naive module
    "inception3a": (163_696, 128_049_152, 303_464_448),
    "inception3b": (388_736, 304_267_264, 854_196_224),
    "inception4a": (376_176, 73_608_192, 307_077_120),
    "inception4b": (449_160, 87_908_352, 378_929_152),
    "inception4c": (510_104, 99_850_240, 404_619_264),
    "inception4d": (605_376, 118_515_712, 431_915_008),
    "inception4e": (868_352, 169_996_288, 655_699_968),
    "inception5a": (1_043_456, 51_079_168, 258_306_048),
    "inception5b": (1_444_080, 70_697_984, 287_006_720),
}


def test_blocks_of_googlenet():
    found = {}
    for path, (parameters, macs) in rows(models.googlenet(), (1, 3, 224, 224)).items():
        block = path.split(".")[0]
        before = found.get(block, (0, 0))
        found[block] = (before[0] + parameters, before[1] + macs)
    assert {name: found[name] for name in BLOCKS} == {n: row[:2] for n, row in BLOCKS.items()}
    assert found["conv1"] == (9_472, 118_013_952)
    assert found["conv2_reduce"] == (4_160, 12_845_056)
    assert found["conv2"] == (110_784, 346_816_512)
    assert found["fc"] == (1_025_000, 1_024_000)
    assert found["aux1"][0] == 3_188_840 and found["aux2"][0] == 3_190_888


@pytest.mark.parametrize("in_channels, macs", [(512, 4_169_728), (528, 4_202_496)])
def test_auxiliary_heads(in_channels, macs):
    assert summary(AuxiliaryHead(in_channels, 1000), (1, in_channels, 14, 14)).macs == macs


@pytest.mark.parametrize("name", BLOCKS)
def test_naive_module_beside_the_reduced_one(name):
    """Both see the maps that the reduced module sees in GoogLeNet, at a 49th of their area."""
    reduced = models.googlenet(aux_logits=False).get_submodule(name)
    assert isinstance(reduced, Inception)
    entering = reduced.conv1x1.in_channels
    side = {"3": 28, "4": 14, "5": 7}[name[9]] // 7
    kernels = (getattr(reduced, layer).out_channels for layer in ("conv1x1", "conv3x3", "conv5x5"))
    shape = (1, entering, side, side)
    assert 49 * summary(reduced, shape).macs == BLOCKS[name][1]
    assert 49 * summary(NaiveInception(entering, *kernels), shape).macs == BLOCKS[name][2]


@pytest.mark.parametrize("name, macs", [("vgg16", 15_346_630_656), ("vgg19", 19_508_428_800)])
def test_convolutions_of_vgg(name, macs):
    net = models.build(name)
    count = sum(parameter.numel() for parameter in net.features.parameters())
    assert count == {"vgg16": 14_714_688, "vgg19": 20_024_384}[name]
    linear = sum(layer.weight.numel() for layer in net.classifier if hasattr(layer, "in_features"))
    assert models.entry(name).macs - linear == macs
