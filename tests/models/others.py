"""Weights of our networks as other libraries would have written them: the maps, backwards.

Each function writes a network into the names and conventions of a library, by tables of its own,
and gives what minidl.io.read_weights would give for such a file.
"""

import string

import numpy as np

import minidl
from minidl import nn
from minidl.io.weights.file import WeightsFile

VGG16 = "1_1 1_2 2_1 2_2 3_1 3_2 3_3 4_1 4_2 4_3 5_1 5_2 5_3".split()
# Places of the convolutions in torchvision's features, counted by hand.
VGG16_PLACES = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
VGG11_BN = "1_1 2_1 3_1 3_2 4_1 4_2 5_1 5_2".split()
VGG11_BN_PLACES = [0, 4, 8, 11, 15, 18, 22, 25]
INCEPTION = ["1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj"]
OUR_INCEPTION = ["conv1x1", "reduce3x3", "conv3x3", "reduce5x5", "conv5x5", "pool_proj"]


def randomised(model, seed=3):
    """Weights, biases and running averages that are all different, and that keep signals alive."""
    rng = np.random.default_rng(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.data[...] = rng.uniform(0.05, 0.3, tensor.shape)
        elif tensor.ndim == 1:
            tensor.data[...] = rng.uniform(0.2, 0.5, tensor.shape) * rng.choice([-1, 1])
        elif tensor.ndim > 1:
            fan = np.prod(tensor.shape[1:])
            tensor.data[...] = rng.standard_normal(tensor.shape) * np.sqrt(2 / fan)
    return model.eval()


def arrays(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def picture(size, channels=3):
    """Two: noise, and noise in other colours."""
    x = np.random.default_rng(8).standard_normal((2, channels, size, size))
    x[1] = 3 * x[1] + np.array([1.0, -2.0, 4.0])[:channels, None, None]
    return minidl.tensor(x.astype(np.float32))


def bgr(kernel):
    return kernel[:, [2, 1, 0]].copy()


def pixels_last(matrix, maps, side):
    """Columns in the order of a library that flattens (H, W, C)."""
    reshaped = matrix.reshape(-1, maps, side, side)
    return np.stack([reshaped[:, c, h, w] for h in range(side) for w in range(side)
                     for c in range(maps)], axis=1)  # fmt: skip


def vgg_layers():
    return [f"features.conv{place}" for place in VGG16]


# --- torchvision ----------------------------------------------------------------------------------


def torchvision_vgg16(model):
    own, out = arrays(model), {}
    for place, layer in zip(VGG16_PLACES, vgg_layers()):
        for part in ("weight", "bias"):
            out[f"features.{place}.{part}"] = own[f"{layer}.{part}"]
    for place, layer in ((0, "fc6"), (3, "fc7"), (6, "fc8")):
        for part in ("weight", "bias"):
            out[f"classifier.{place}.{part}"] = own[f"classifier.{layer}.{part}"]
    return WeightsFile("pytorch", out)


def torchvision_vgg11_bn(model):
    own, out = arrays(model), {}
    for place, name in zip(VGG11_BN_PLACES, VGG11_BN):
        for part in ("weight", "bias"):
            out[f"features.{place}.{part}"] = own[f"features.conv{name}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            out[f"features.{place + 1}.{part}"] = own[f"features.bn{name}.{part}"]
    for place, layer in ((0, "fc6"), (3, "fc7"), (6, "fc8")):
        for part in ("weight", "bias"):
            out[f"classifier.{place}.{part}"] = own[f"classifier.{layer}.{part}"]
    return WeightsFile("pytorch", out)


def torchvision_alexnet(model):
    own, out = arrays(model), {}
    names = {
        "features.0": "features.conv1", "features.3": "features.conv2",
        "features.6": "features.conv3", "features.8": "features.conv4",
        "features.10": "features.conv5", "classifier.1": "classifier.fc6",
        "classifier.4": "classifier.fc7", "classifier.6": "classifier.fc8",
    }  # fmt: skip
    for theirs, ours in names.items():
        for part in ("weight", "bias"):
            out[f"{theirs}.{part}"] = own[f"{ours}.{part}"]
    return WeightsFile("pytorch", out)


def same_names(model):
    """torchvision's ResNet and GoogLeNet, which have our names; counters as in older files."""
    own = {name: a for name, a in arrays(model).items() if "num_batches" not in name}
    return WeightsFile("pytorch", own)


# --- Caffe ----------------------------------------------------------------------------------------


def caffe_plain(model):
    """bvlc_alexnet and the VGG group's networks."""
    out = {}
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            name = path.split(".")[-1]
            weight = layer.weight.detach().numpy().copy()
            out[f"{name}.weight"] = bgr(weight) if name in ("conv1", "conv1_1") else weight
            out[f"{name}.bias"] = layer.bias.detach().numpy().copy()
    return WeightsFile("caffe", out)


FIRE = ["squeeze1x1", "expand1x1", "expand3x3"]
FIRE_PLACES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}  # in torchvision's features


def caffe_squeezenet(model, parts=("weight", "bias"), file_format="caffe"):
    """The authors' file; or pickled lists of kernel and bias, whose parts are numbers."""
    own = arrays(model)
    names = {f"features.fire{n}.{layer}": f"fire{n}/{layer}" for n in FIRE_PLACES for layer in FIRE}
    names |= {"features.conv1": "conv1", "classifier.conv10": "conv10"}
    out = {}
    for ours, theirs in names.items():
        weight = own[f"{ours}.weight"]
        out[f"{theirs}.{parts[0]}"] = bgr(weight) if theirs == "conv1" else weight
        out[f"{theirs}.{parts[1]}"] = own[f"{ours}.bias"]
    return WeightsFile(file_format, out)


def torchvision_squeezenet(model):
    own = arrays(model)
    names = {
        f"features.fire{n}.{layer}": f"features.{place}.{layer.replace('squeeze1x1', 'squeeze')}"
        for n, place in FIRE_PLACES.items() for layer in FIRE
    }  # fmt: skip
    names |= {"features.conv1": "features.0", "classifier.conv10": "classifier.1"}
    return WeightsFile("pytorch", {
        f"{theirs}.{part}": own[f"{ours}.{part}"]
        for ours, theirs in names.items() for part in ("weight", "bias")
    })  # fmt: skip


def efficientnet_pytorch(model):
    """Melas-Kyriazi's names."""
    words = {"stem": "conv_stem", "head": "conv_head", "expand": "expand_conv",
             "depthwise": "depthwise_conv", "project": "project_conv"}  # fmt: skip
    out = {}
    for name, array in arrays(model).items():
        *path, part = name.split(".")
        layers = [layer if layer.isdigit() else f"_{words.get(layer, layer)}" for layer in path]
        out[".".join([*layers, part])] = array
    return WeightsFile("pytorch", out)


def caffe_googlenet(model):
    names = {
        "conv1": "conv1/7x7_s2", "conv2_reduce": "conv2/3x3_reduce", "conv2": "conv2/3x3",
        "aux1.conv": "loss1/conv", "aux1.fc1": "loss1/fc", "aux1.fc2": "loss1/classifier",
        "aux2.conv": "loss2/conv", "aux2.fc1": "loss2/fc", "aux2.fc2": "loss2/classifier",
        "fc": "loss3/classifier",
    }  # fmt: skip
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        for ours, theirs in zip(OUR_INCEPTION, INCEPTION):
            names[f"inception{module}.{ours}"] = f"inception_{module}/{theirs}"
    own = arrays(model)
    out = {}
    for ours, theirs in names.items():
        weight = own[f"{ours}.weight"]
        out[f"{theirs}.weight"] = bgr(weight) if ours == "conv1" else weight
        out[f"{theirs}.bias"] = own[f"{ours}.bias"]
    return WeightsFile("caffe", out)


def residual_names(counts, letters=True):
    """Our (conv, norm) -> the middle of Caffe's name: 2a_branch2a."""
    names = {}
    for stage, count in enumerate(counts, start=1):
        for block in range(count):
            long = not letters and block > 0 and stage in (2, 3)
            place = f"{stage + 1}a" if block == 0 else f"{stage + 1}{string.ascii_lowercase[block]}"
            place = f"{stage + 1}b{block}" if long else place
            path = f"layer{stage}.{block}"
            for i, letter in enumerate("abc", start=1):
                names[f"{path}.conv{i}", f"{path}.bn{i}"] = f"{place}_branch2{letter}"
            if block == 0:
                names[f"{path}.downsample.0", f"{path}.downsample.1"] = f"{place}_branch1"
    return names


def caffe_resnet(model, counts, letters=True):
    own = arrays(model)
    bias = np.linspace(-0.5, 0.5, len(own["conv1.weight"])).astype(np.float32)
    out = {"conv1.weight": bgr(own["conv1.weight"]), "conv1.bias": bias}
    out |= {"fc1000.weight": own["fc.weight"], "fc1000.bias": own["fc.bias"]}
    names = {("conv1", "bn1"): "_conv1", **residual_names(counts, letters)}
    for (conv, norm), name in names.items():
        if conv != "conv1":
            out[f"res{name}.weight"] = own[f"{conv}.weight"]
        mean = own[f"{norm}.running_mean"]
        out[f"bn{name}.running_mean"] = mean + bias if conv == "conv1" else mean
        out[f"bn{name}.running_var"] = own[f"{norm}.running_var"]
        out[f"scale{name}.weight"] = own[f"{norm}.weight"]
        out[f"scale{name}.bias"] = own[f"{norm}.bias"]
    return WeightsFile("caffe", out)


# --- MatConvNet -----------------------------------------------------------------------------------


def matconvnet_plain(model):
    """imagenet-vgg-verydeep-16, imagenet-caffe-alex: linear layers are convolutions there."""
    out = {}
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            name = path.split(".")[-1]
            weight = layer.weight.detach().numpy().copy()
            if name == "fc6":
                maps = [m for m in model.modules() if isinstance(m, nn.Conv2d)][-1].out_channels
                side = round((weight.shape[1] // maps) ** 0.5)
                weight = weight.reshape(-1, maps, side, side)
            elif name in ("fc7", "fc8"):
                weight = weight[:, :, None, None]
            out[f"{name}f"], out[f"{name}b"] = weight, layer.bias.detach().numpy().copy()
    return WeightsFile("matconvnet", out, "HWIO", "HWC")


def matconvnet_resnet(model, counts, eps):
    own = arrays(model)
    out = {"conv1_filter": own["conv1.weight"], "fc1000_filter": own["fc.weight"][:, :, None, None]}
    out["fc1000_bias"] = own["fc.bias"]
    names = {("conv1", "bn1"): "_conv1", **residual_names(counts)}
    for (conv, norm), name in names.items():
        if conv != "conv1":
            out[f"res{name}_filter"] = own[f"{conv}.weight"]
        deviation = np.sqrt(own[f"{norm}.running_var"].astype(np.float64) + eps)
        moments = np.stack([own[f"{norm}.running_mean"], deviation], axis=1)
        out[f"bn{name}_mult"] = own[f"{norm}.weight"]
        out[f"bn{name}_bias"] = own[f"{norm}.bias"]
        out[f"bn{name}_moments"] = moments.astype(np.float32)
    return WeightsFile("matconvnet", out, "HWIO", "HWC")


# --- Keras ----------------------------------------------------------------------------------------


def keras_vgg16(model, maps, side, name="{layer}/{layer}_{part}_1", parts=("W", "b")):
    own, out = arrays(model), {}
    layers = {f"features.conv{p}": f"block{p[0]}_conv{p[2]}" for p in VGG16}
    layers |= {"classifier.fc6": "fc1", "classifier.fc7": "fc2", "classifier.fc8": "predictions"}
    for ours, theirs in layers.items():
        weight = own[f"{ours}.weight"]
        weight = bgr(weight) if ours.endswith("conv1_1") else weight
        weight = pixels_last(weight, maps, side) if ours.endswith("fc6") else weight
        out[name.format(layer=theirs, part=parts[0])] = weight
        out[name.format(layer=theirs, part=parts[1])] = own[f"{ours}.bias"]
    return WeightsFile("keras", out, "HWIO", "HWC")


def keras_resnet(model, counts, eps):
    """keras.applications' ResNet: convolutions have biases, and eps is 1.001e-5."""
    own, out = arrays(model), {}
    rng = np.random.default_rng(0)
    names = {("conv1", "bn1"): "conv1"}
    for stage, count in enumerate(counts, start=1):
        for block in range(count):
            path, place = f"layer{stage}.{block}", f"conv{stage + 1}_block{block + 1}"
            for i in (1, 2, 3):
                names[f"{path}.conv{i}", f"{path}.bn{i}"] = f"{place}_{i}"
            if block == 0:
                names[f"{path}.downsample.0", f"{path}.downsample.1"] = f"{place}_0"
    for (conv, norm), name in names.items():
        weight = own[f"{conv}.weight"]
        bias = rng.uniform(-1, 1, len(weight)).astype(np.float32)
        out[f"{name}_conv/kernel"] = bgr(weight) if conv == "conv1" else weight
        out[f"{name}_conv/bias"] = bias
        out[f"{name}_bn/gamma"] = own[f"{norm}.weight"]
        out[f"{name}_bn/beta"] = own[f"{norm}.bias"]
        out[f"{name}_bn/moving_mean"] = own[f"{norm}.running_mean"] + bias
        variance = own[f"{norm}.running_var"].astype(np.float64) + 1e-5 - eps
        out[f"{name}_bn/moving_variance"] = variance.astype(np.float32)
    out["predictions/kernel"], out["predictions/bias"] = own["fc.weight"], own["fc.bias"]
    return WeightsFile("keras", out, "HWIO", "HWC")


def older_keras_resnet(model, counts):
    """keras.applications' ResNet50 until 2018: Caffe's names, and an eps of 0.001."""
    file = keras_resnet(model, counts, 1e-3)
    names = {"conv1": "conv1", "bn1": "bn_conv1"}
    for (conv, norm), place in residual_names(counts).items():
        names |= {conv: f"res{place}", norm: f"bn{place}"}
    out = {"fc1000/kernel": file.tensors["predictions/kernel"]}
    out["fc1000/bias"] = file.tensors["predictions/bias"]
    theirs = [name for name in file.tensors if not name.startswith("predictions")]
    for conv, norm in (("conv1", "bn1"), *residual_names(counts)):
        for layer, count in ((conv, 2), (norm, 4)):
            for _ in range(count):
                name = theirs.pop(0)
                out[f"{names[layer]}/{name.split('/')[1]}"] = file.tensors[name]
    return WeightsFile("keras", out, "HWIO", "HWC")


# --- TensorFlow -----------------------------------------------------------------------------------


def slim_vgg16(model, maps, side):
    own, out = arrays(model), {}
    for place in VGG16:
        for part, theirs in (("weight", "weights"), ("bias", "biases")):
            name = f"vgg_16/conv{place[0]}/conv{place}/{theirs}"
            out[name] = own[f"features.conv{place}.{part}"]
    shapes = {"fc6": (maps, side, side), "fc7": (-1, 1, 1), "fc8": (-1, 1, 1)}
    for layer, shape in shapes.items():
        weight = own[f"classifier.{layer}.weight"]
        out[f"vgg_16/{layer}/weights"] = weight.reshape(len(weight), *shape)
        out[f"vgg_16/{layer}/biases"] = own[f"classifier.{layer}.bias"]
    out["global_step"] = np.array(0)
    return WeightsFile("tensorflow", out, "HWIO", "HWC")


def slim_resnet(model, counts):
    own = arrays(model)
    scope = "resnet_v1_50"
    out = {f"{scope}/logits/weights": own["fc.weight"][:, :, None, None]}
    out[f"{scope}/logits/biases"] = own["fc.bias"]
    names = {("conv1", "bn1"): f"{scope}/conv1"}
    for stage, count in enumerate(counts, start=1):
        for block in range(count):
            path = f"layer{stage}.{block}"
            place = f"{scope}/block{stage}/unit_{block + 1}/bottleneck_v1"
            for i in (1, 2, 3):
                names[f"{path}.conv{i}", f"{path}.bn{i}"] = f"{place}/conv{i}"
            if block == 0:
                names[f"{path}.downsample.0", f"{path}.downsample.1"] = f"{place}/shortcut"
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
             "running_var": "moving_variance"}  # fmt: skip
    for (conv, norm), name in names.items():
        out[f"{name}/weights"] = own[f"{conv}.weight"]
        for ours, theirs in parts.items():
            out[f"{name}/BatchNorm/{theirs}"] = own[f"{norm}.{ours}"]
    return WeightsFile("tensorflow", out, "HWIO", "HWC")


def frossard_vgg16(model, maps, side):
    file = keras_vgg16(model, maps, side, "{layer}_{part}")
    names = {f"block{p[0]}_conv{p[2]}": f"conv{p}" for p in VGG16}
    names |= {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}
    out = {}
    for theirs, name in names.items():
        weight = file.tensors[f"{theirs}_W"]
        out[f"{name}_W"] = bgr(weight) if name == "conv1_1" else weight  # RGB here
        out[f"{name}_b"] = file.tensors[f"{theirs}_b"]
    return WeightsFile("npz", out, "HWIO", "HWC")
