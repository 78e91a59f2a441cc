"""Hints that name what was meant."""

import pytest

from minidl.errors import nearest

NAMES = ["resnet50", "resnet20_cifar", "resnet110_cifar", "sgd", "adam", "adamw"]


@pytest.mark.parametrize(
    "word, name",
    [
        ("resnet20", "resnet20_cifar"),  # the same beginning before a similar whole
        ("resnet5", "resnet50"),
        ("SGD", "sgd"),
        ("adan", "adam"),
    ],
)
def test_nearest(word, name):
    assert nearest(word, NAMES) == f"did you mean {name}?"


def test_all_where_none_is_near():
    assert nearest("momentum", ["b", "a"]) == "one of: a, b"
