"""Hints that name what was meant."""

import pytest

from minidl.errors import nearest, typing_errors

NAMES = [
    "resnet50", "resnet20_cifar", "resnet110_cifar", "vgg11", "vgg16", "vgg19", "googlenet",
    "sgd", "adam", "adamw",
]  # fmt: skip


@pytest.mark.parametrize(
    "word, name",
    [
        ("resnet20", "resnet20_cifar"),  # the same beginning before a similar whole
        ("resnet5", "resnet50"),
        ("SGD", "sgd"),
        ("go", "googlenet"),
        ("adan", "adam"),
        ("adma", "adam"),
        ("vgg61", "vgg16"),  # a swap before a replacement
        ("resnet-50", "resnet50"),
        ("resnet110-cifra", "resnet110_cifar"),
    ],
)
def test_nearest(word, name):
    assert nearest(word, NAMES) == f"did you mean {name}?"


def test_all_where_none_is_near():
    assert nearest("momentum", ["b", "a"]) == "one of: a, b"


@pytest.mark.parametrize(
    "word", ["g1", "x", "ad", "", "mobilenet", "vit", "vgg16_hed_2015", "rmsprop"]
)
def test_none_is_proposed_that_is_not_near(word):
    assert nearest(word, NAMES) == f"one of: {', '.join(sorted(NAMES))}"


@pytest.mark.parametrize(
    "a, b, count",
    [
        ("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("vgg61", "vgg16", 1),
        ("abcd", "badc", 2), ("ca", "abc", 3),  # no letter twice: 3, where Damerau's has 2
    ],
)  # fmt: skip
def test_typing_errors(a, b, count):
    assert typing_errors(a, b) == typing_errors(b, a) == count
