"""The networks once more, in plain PyTorch: names and numbers are to be the same.

Written from the papers' tables, with the names that models/ promises, for any widths.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


def alexnet(kernels, hidden, classes, groups, lrn, padding, side, channels=3):
    """lrn: the arguments of LocalResponseNorm, or None."""
    n1, n2, n3, n4, n5 = kernels
    layers = [("conv1", nn.Conv2d(channels, n1, 11, 4, padding)), ("relu1", nn.ReLU())]
    layers += [("norm1", nn.LocalResponseNorm(**lrn))] if lrn else []
    layers += [("pool1", nn.MaxPool2d(3, 2))]
    layers += [("conv2", nn.Conv2d(n1, n2, 5, padding=2, groups=groups)), ("relu2", nn.ReLU())]
    layers += [("norm2", nn.LocalResponseNorm(**lrn))] if lrn else []
    layers += [
        ("pool2", nn.MaxPool2d(3, 2)),
        ("conv3", nn.Conv2d(n2, n3, 3, padding=1)), ("relu3", nn.ReLU()),
        ("conv4", nn.Conv2d(n3, n4, 3, padding=1, groups=groups)), ("relu4", nn.ReLU()),
        ("conv5", nn.Conv2d(n4, n5, 3, padding=1, groups=groups)), ("relu5", nn.ReLU()),
        ("pool5", nn.MaxPool2d(3, 2)),
    ]  # fmt: skip
    return with_classifier(layers, n5, side, hidden, classes)


def vgg(blocks, widths, hidden, classes, batch_norm, side, channels=3):
    layers = []
    for b, (kernels, width) in enumerate(zip(blocks, widths), 1):
        for i, size in enumerate(kernels, 1):
            layers.append((f"conv{b}_{i}", nn.Conv2d(channels, width, size, padding=size // 2)))
            layers += [(f"bn{b}_{i}", nn.BatchNorm2d(width))] if batch_norm else []
            layers.append((f"relu{b}_{i}", nn.ReLU()))
            channels = width
        layers.append((f"pool{b}", nn.MaxPool2d(2, 2)))
    return with_classifier(layers, channels, side, hidden, classes)


def with_classifier(layers, channels, side, hidden, classes):
    net = nn.Sequential()
    net.add_module("features", nn.Sequential(OrderedDict(layers)))
    net.add_module("avgpool", nn.AdaptiveAvgPool2d(side))
    net.add_module("classifier", nn.Sequential(OrderedDict([
        ("flatten", nn.Flatten()),
        ("fc6", nn.Linear(channels * side * side, hidden)), ("relu6", nn.ReLU()),
        ("fc7", nn.Linear(hidden, hidden)), ("relu7", nn.ReLU()),
        ("fc8", nn.Linear(hidden, classes)),
    ])))  # fmt: skip
    return net


class Block(nn.Module):
    """Any residual block: convolutions with batch norms behind them (post) or before (pre).

    sizes: (kernel, in, out, stride) of each convolution. passed: what the shortcut does, a module
    or a function; None for no shortcut at all.
    """

    def __init__(self, sizes, passed, pre=False, bias=False):
        super().__init__()
        self.pre, self.n = pre, len(sizes)
        for i, (kernel, entering, leaving, stride) in enumerate(sizes, 1):
            conv = nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, bias=bias)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(entering if pre else leaving))
        if isinstance(passed, nn.Module):
            self.downsample = passed
        self.passed = (passed,)  # in a tuple: not registered twice

    def forward(self, x):
        passed, y = self.passed[0], x
        for i in range(1, self.n + 1):
            conv, norm = getattr(self, f"conv{i}"), getattr(self, f"bn{i}")
            if self.pre:
                y = torch.relu(norm(y))
                if i == 1 and isinstance(passed, nn.Conv2d):
                    x = y  # a projection sees the activated maps
                y = conv(y)
            else:
                y = norm(conv(y))
                y = torch.relu(y) if i < self.n else y
        y = y if passed is None else y + passed(x)
        return y if self.pre else torch.relu(y)


class ResNet(nn.Module):
    """Stem, layers of blocks, average, fc."""

    def __init__(self, stem, layers, last, classes):
        super().__init__()
        for name, module in stem:
            self.add_module(name, module)
        self.stem = tuple(name for name, _ in stem)
        self.layers = tuple(f"layer{i}" for i in range(1, len(layers) + 1))
        for name, blocks in zip(self.layers, layers):
            self.add_module(name, nn.Sequential(*blocks))
        if isinstance(last, nn.BatchNorm2d):
            self.bn = last
            channels = last.num_features
        else:
            channels = last
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        for name in self.stem + self.layers:
            x = getattr(self, name)(x)
        if hasattr(self, "bn"):
            x = torch.relu(self.bn(x))
        return self.fc(x.mean((2, 3)))


def projection(entering, leaving, stride):
    return nn.Sequential(nn.Conv2d(entering, leaving, 1, stride, bias=False),
                         nn.BatchNorm2d(leaving))  # fmt: skip


def resnet(bottleneck, counts, widths, classes, stride_in="3x3", channels=3):
    stem = [
        ("conv1", nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)),
        ("bn1", nn.BatchNorm2d(widths[0])), ("relu", nn.ReLU()),
        ("maxpool", nn.MaxPool2d(3, 2, 1)),
    ]  # fmt: skip
    layers, entering = [], widths[0]
    for i, (count, n) in enumerate(zip(counts, widths)):
        blocks, leaving = [], n * (4 if bottleneck else 1)
        for k in range(count):
            s = 2 if i and not k else 1
            a, b = (s, 1) if stride_in == "1x1" else (1, s)
            sizes = [(3, entering, n, s), (3, n, n, 1)]
            if bottleneck:
                sizes = [(1, entering, n, a), (3, n, n, b), (1, n, leaving, 1)]
            same = s == 1 and entering == leaving
            passed = nn.Identity() if same else projection(entering, leaving, s)
            blocks.append(Block(sizes, passed))
            entering = leaving
        layers.append(blocks)
    return ResNet(stem, layers, entering, classes)


def resnet_cifar(n, widths, classes, shortcut, channels=3):
    stem = [("conv1", nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)),
            ("bn1", nn.BatchNorm2d(widths[0])), ("relu", nn.ReLU())]  # fmt: skip
    layers, entering = [], widths[0]
    for width in widths:
        blocks = []
        for _ in range(n):
            s = 2 if entering != width else 1
            passed = nn.Identity() if shortcut else None
            if s == 2 and shortcut == "A":
                passed = subsampled(0, width - entering)
            elif s == 2 and shortcut == "B":
                passed = projection(entering, width, 2)
            blocks.append(Block([(3, entering, width, s), (3, width, width, 1)], passed))
            entering = width
        layers.append(blocks)
    return ResNet(stem, layers, entering, classes)


class AirbenchCifar(nn.Module):
    def __init__(self, widths, classes, channels=3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 2)
        for i, (entering, width) in enumerate(zip((16, *widths), widths), start=1):
            self.add_module(f"block{i}", airbench_block(entering, width))
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x):
        x = functional.relu(self.conv1(x))
        x = self.block3(self.block2(self.block1(x)))
        return self.fc(x.amax((2, 3))) / 9


def airbench_block(entering, width):
    block = nn.Sequential()
    for name, layer in (
        ("conv1", nn.Conv2d(entering, width, 3, padding=1, bias=False)),
        ("pool", nn.MaxPool2d(2)),
        ("norm1", nn.BatchNorm2d(width, momentum=0.4)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(width, width, 3, padding=1, bias=False)),
        ("norm2", nn.BatchNorm2d(width, momentum=0.4)),
        ("relu2", nn.ReLU()),
    ):
        block.add_module(name, layer)
    return block


def preact_resnet_cifar(n, widths, classes, shortcut, bias, channels=3):
    stem = [("conv1", nn.Conv2d(channels, widths[0], 3, 1, 1, bias=bias))]
    layers, entering = [], widths[0]
    for width in widths:
        blocks = []
        for _ in range(n):
            s = 2 if entering != width else 1
            half = (width - entering) // 2
            passed = nn.Identity()
            if s == 2:
                passed = (averaged if shortcut == "avg" else subsampled)(half, width - entering)
            sizes = [(3, entering, width, s), (3, width, width, 1)]
            blocks.append(Block(sizes, passed, pre=True, bias=bias))
            entering = width
        layers.append(blocks)
    return ResNet(stem, layers, nn.BatchNorm2d(entering), classes)


def preact_bottleneck_cifar(n, widths, classes, channels=3):
    stem = [("conv1", nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False))]
    layers, entering = [], widths[0]
    for i, width in enumerate(widths):
        blocks = []
        for k in range(n):
            s = 2 if i and not k else 1
            passed = nn.Identity() if k else nn.Conv2d(entering, 4 * width, 1, s, bias=False)
            sizes = [(1, entering, width, 1), (3, width, width, s), (1, width, 4 * width, 1)]
            blocks.append(Block(sizes, passed, pre=True))
            entering = 4 * width
        layers.append(blocks)
    return ResNet(stem, layers, nn.BatchNorm2d(entering), classes)


def subsampled(before, more):
    return lambda x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, more - before))


def averaged(before, more):
    return lambda x: functional.pad(
        functional.avg_pool2d(x, 2, ceil_mode=True), (0, 0, 0, 0, before, more - before)
    )


class Inception(nn.Module):
    def __init__(self, entering, n1, r3, n3, r5, n5, proj):
        super().__init__()
        self.conv1x1 = nn.Conv2d(entering, n1, 1)
        self.reduce3x3, self.conv3x3 = nn.Conv2d(entering, r3, 1), nn.Conv2d(r3, n3, 3, 1, 1)
        self.reduce5x5, self.conv5x5 = nn.Conv2d(entering, r5, 1), nn.Conv2d(r5, n5, 5, 1, 2)
        self.pool_proj = nn.Conv2d(entering, proj, 1)

    def forward(self, x):
        r = torch.relu
        return torch.cat([
            r(self.conv1x1(x)),
            r(self.conv3x3(r(self.reduce3x3(x)))),
            r(self.conv5x5(r(self.reduce5x5(x)))),
            r(self.pool_proj(functional.max_pool2d(x, 3, 1, 1))),
        ], 1)  # fmt: skip


class NaiveInception(nn.Module):
    def __init__(self, entering, n1, r3, n3, r5, n5, proj):
        super().__init__()
        self.conv1x1 = nn.Conv2d(entering, n1, 1)
        self.conv3x3, self.conv5x5 = (nn.Conv2d(entering, n3, 3, 1, 1),
                                      nn.Conv2d(entering, n5, 5, 1, 2))  # fmt: skip

    def forward(self, x):
        convolved = [torch.relu(f(x)) for f in (self.conv1x1, self.conv3x3, self.conv5x5)]
        return torch.cat([*convolved, functional.max_pool2d(x, 3, 1, 1)], 1)


class AuxiliaryHead(nn.Module):
    def __init__(self, entering, channels, hidden, classes):
        super().__init__()
        self.conv = nn.Conv2d(entering, channels, 1)
        self.fc1, self.fc2 = nn.Linear(channels * 16, hidden), nn.Linear(hidden, classes)

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(functional.avg_pool2d(x, 5, 3), 4)
        x = torch.relu(self.conv(x)).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


class GoogLeNet(nn.Module):
    """modules: name -> the six numbers; naive modules pass on all that enters."""

    def __init__(self, stem, modules, head, classes, naive=False, channels=3):
        super().__init__()
        n1, n2 = stem
        self.conv1 = nn.Conv2d(channels, n1, 7, 2, 3)
        self.conv2_reduce, self.conv2 = nn.Conv2d(n1, n1, 1), nn.Conv2d(n1, n2, 3, 1, 1)
        entering, leaving = n2, {}
        for name, numbers in modules.items():
            kind = NaiveInception if naive else Inception
            self.add_module(f"inception{name}", kind(entering, *numbers))
            n1, _, n3, _, n5, proj = numbers
            entering = leaving[name] = n1 + n3 + n5 + (entering if naive else proj)
        self.aux1 = AuxiliaryHead(leaving["4a"], *head, classes)
        self.aux2 = AuxiliaryHead(leaving["4d"], *head, classes)
        self.fc = nn.Linear(entering, classes)

    def forward(self, x):
        def pool(x):
            return functional.max_pool2d(x, 3, 2, ceil_mode=True)

        x = functional.local_response_norm(pool(torch.relu(self.conv1(x))), 5)
        x = torch.relu(self.conv2(torch.relu(self.conv2_reduce(x))))
        x = pool(functional.local_response_norm(x, 5))
        x = pool(self.inception3b(self.inception3a(x)))
        a = x = self.inception4a(x)
        d = x = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.inception5b(self.inception5a(pool(self.inception4e(x))))
        return self.fc(x.mean((2, 3))), self.aux1(a), self.aux2(d)


class BasicConv2d(nn.Module):
    def __init__(self, entering, leaving, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(leaving, eps=0.001)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class TorchvisionInception(nn.Module):
    def __init__(self, entering, n1, r3, n3, r5, n5, proj):
        super().__init__()
        self.branch1 = BasicConv2d(entering, n1, 1)
        self.branch2 = nn.Sequential(BasicConv2d(entering, r3, 1), BasicConv2d(r3, n3, 3, 1, 1))
        self.branch3 = nn.Sequential(BasicConv2d(entering, r5, 1), BasicConv2d(r5, n5, 3, 1, 1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), BasicConv2d(entering, proj, 1))

    def forward(self, x):
        return torch.cat(
            [b(x) for b in (self.branch1, self.branch2, self.branch3, self.branch4)], 1
        )


class TorchvisionHead(nn.Module):
    def __init__(self, entering, channels, hidden, classes):
        super().__init__()
        self.conv = BasicConv2d(entering, channels, 1)
        self.fc1, self.fc2 = nn.Linear(channels * 16, hidden), nn.Linear(hidden, classes)

    def forward(self, x):
        x = self.conv(functional.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


class GoogLeNetTorchvision(nn.Module):
    def __init__(self, stem, modules, head, classes):
        super().__init__()
        n1, n2 = stem
        self.conv1 = BasicConv2d(3, n1, 7, 2, 3)
        self.conv2, self.conv3 = BasicConv2d(n1, n1, 1), BasicConv2d(n1, n2, 3, 1, 1)
        entering, leaving = n2, {}
        for name, numbers in modules.items():
            self.add_module(f"inception{name}", TorchvisionInception(entering, *numbers))
            n1, _, n3, _, n5, proj = numbers
            entering = leaving[name] = n1 + n3 + n5 + proj
        self.aux1 = TorchvisionHead(leaving["4a"], *head, classes)
        self.aux2 = TorchvisionHead(leaving["4d"], *head, classes)
        self.fc = nn.Linear(entering, classes)

    def forward(self, x):
        # As torchvision's _transform_input: from ImageNet's normalization to (x - 0.5) / 0.5.
        first = x[:, 0:1] * (0.229 / 0.5) + (0.485 - 0.5) / 0.5
        second = x[:, 1:2] * (0.224 / 0.5) + (0.456 - 0.5) / 0.5
        third = x[:, 2:3] * (0.225 / 0.5) + (0.406 - 0.5) / 0.5
        x = torch.cat([first, second, third], 1)
        x = functional.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.inception3b(self.inception3a(x))
        a = x = self.inception4a(functional.max_pool2d(x, 3, 2, ceil_mode=True))
        d = x = self.inception4d(self.inception4c(self.inception4b(x)))
        x = functional.max_pool2d(self.inception4e(x), 2, 2, ceil_mode=True)
        x = self.inception5b(self.inception5a(x))
        return self.fc(x.mean((2, 3))), self.aux1(a), self.aux2(d)


class Fire(nn.Module):
    def __init__(self, entering, squeeze, expand1, expand3):
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(entering, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand1, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand3, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze1x1(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], 1)


def squeezenet(stem, fires, classes, channels=3):
    """SqueezeNet 1.1. fires: the three numbers of fire2 to fire9."""

    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers = [("conv1", nn.Conv2d(channels, stem, 3, 2)), ("relu1", nn.ReLU()), ("pool1", pool())]
    entering = stem
    for i, (squeeze, expand1, expand3) in enumerate(fires, 2):
        layers.append((f"fire{i}", Fire(entering, squeeze, expand1, expand3)))
        layers += [(f"pool{i}", pool())] if i in (3, 5) else []
        entering = expand1 + expand3
    net = nn.Sequential()
    net.add_module("features", nn.Sequential(OrderedDict(layers)))
    net.add_module("classifier", nn.Sequential(OrderedDict([
        ("conv10", nn.Conv2d(entering, classes, 1)), ("relu10", nn.ReLU()),
        ("pool10", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()),
    ])))  # fmt: skip
    return net


class SamePadded(nn.Conv2d):
    """TensorFlow's SAME: ceil(inputs / stride) outputs, an uneven rest at the bottom and right."""

    def forward(self, x):
        missing = []
        for n, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1]):
            whole = max(0, (-(-n // stride) - 1) * stride + kernel - n)
            missing += [whole // 2, whole - whole // 2]
        left, right, top, bottom = missing
        if (left, top) == (right, bottom):  # the convolution pads by itself, without a copy
            return functional.conv2d(
                x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups
            )
        return super().forward(functional.pad(x, missing))


class InvertedResidual(nn.Module):
    def __init__(self, entering, leaving, expansion, kernel, stride):
        super().__init__()
        many = entering * expansion
        if expansion > 1:
            self.expand = nn.Conv2d(entering, many, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(many, eps=1e-3)
        self.depthwise = SamePadded(many, many, kernel, stride, groups=many, bias=False)
        self.bn1 = nn.BatchNorm2d(many, eps=1e-3)
        self.project = nn.Conv2d(many, leaving, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(leaving, eps=1e-3)
        self.adds = stride == 1 and entering == leaving

    def forward(self, x):
        y = functional.relu6(self.bn0(self.expand(x))) if hasattr(self, "expand") else x
        y = self.bn2(self.project(functional.relu6(self.bn1(self.depthwise(y)))))
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """rows: expansion, maps, blocks, stride, kernel."""

    def __init__(self, stem, rows, head, classes, channels=3):
        super().__init__()
        self.stem = SamePadded(channels, stem, 3, 2, bias=False)
        self.bn0 = nn.BatchNorm2d(stem, eps=1e-3)
        blocks, entering = [], stem
        for expansion, maps, count, stride, kernel in rows:
            for i in range(count):
                s = stride if i == 0 else 1
                blocks.append(InvertedResidual(entering, maps, expansion, kernel, s))
                entering = maps
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(entering, head, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(head, eps=1e-3)
        self.fc = nn.Linear(head, classes)

    def forward(self, x):
        x = self.blocks(functional.relu6(self.bn0(self.stem(x))))
        return self.fc(functional.relu6(self.bn1(self.head(x))).mean((2, 3)))
