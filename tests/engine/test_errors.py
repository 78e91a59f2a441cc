"""Errors keep what they say in fields; hints name what was meant."""

import copy
import pickle

import pytest

import minidl
from minidl.errors import ArgumentError, Hint, describe, nearest, typing_errors

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


# --- hints in other words -----------------------------------------------------------------------

LEAVE_OUT = Hint(
    "make it with {size=}, or leave the layer out with {fresh=} ({callback})",
    size=64, fresh=["fc"], callback="callbacks.X",
)  # fmt: skip


def test_a_hint_is_a_string_in_pythons_words():
    assert (
        LEAVE_OUT == "make it with size=64, or leave the layer out with fresh=['fc'] (callbacks.X)"
    )
    assert isinstance(LEAVE_OUT, str) and Hint("plain") == "plain"


def test_a_hint_in_the_words_of_a_command_line():
    def words(name, value):
        return {"size": f"--size {value}", "fresh": f"--fresh {','.join(value)}"
                if name == "fresh" else ""}.get(name)  # fmt: skip

    said = LEAVE_OUT.in_words(words)
    assert said == "make it with --size 64, or leave the layer out with --fresh fc (callbacks.X)"


def test_braces_that_are_the_texts_own_stay():
    hint = Hint("a {thing} in {place=}, {0} {}", place="{place=}")
    assert hint == "a {thing} in place='{place=}', {0} {}"
    assert hint.in_words(lambda name, value: value) == "a {thing} in {place=}, {0} {}"


def test_a_hint_survives_copies():
    for same in (
        copy.copy(LEAVE_OUT),
        copy.deepcopy(LEAVE_OUT),
        pickle.loads(pickle.dumps(LEAVE_OUT)),
    ):
        assert same == LEAVE_OUT and same.arguments == LEAVE_OUT.arguments


def test_an_error_says_the_same_in_other_words():
    error = ArgumentError("load_weights", "the shapes differ", {"file": "a.npz"}, LEAVE_OUT)
    assert error.suggests == {"size": 64, "fresh": ["fc"], "callback": "callbacks.X"}
    assert str(error).splitlines() == [
        "load_weights: the shapes differ", "  file  'a.npz'", f"  hint: {LEAVE_OUT}",
    ]  # fmt: skip
    said = error.text("train", lambda name, value: f"--{name}")
    assert said.splitlines() == [
        "train: the shapes differ", "  file  'a.npz'",
        "  hint: make it with --size, or leave the layer out with --fresh (--callback)",
    ]  # fmt: skip
    error.hint = "another"  # on the way up
    assert error.suggests == {} and error.text("train").endswith("hint: another")


def test_what_holds_arrays_is_shown_by_their_shapes():
    state = minidl.nn.Linear(2, 3).state_dict()
    assert describe(state) == "{'weight': (3, 2), 'bias': (3,)}"
    assert describe([state["bias"], 2]) == "[(3,), 2]"
    many = describe({str(i): state["bias"] for i in range(100)})
    assert many.endswith("92 more}") and len(many) < 200


def test_long_texts_are_shortened_in_the_middle():
    text = describe("a" * 5000 + "z")
    assert len(text) < 2100 and "5,003 characters" in text and "az' (" in text
    assert describe("a" * 500) == repr("a" * 500)
