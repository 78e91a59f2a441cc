"""Captions say what is drawn, each in other words."""

import numpy as np
import pytest

from minidl.data import tokenize
from minidl.data.flowers import (
    COMBINATIONS,
    OXFORD_SENTENCES,
    VALUES,
    captions,
    class_captions,
    class_names,
    describe,
    extended_flowers,
    split_combinations,
)
from minidl.data.flowers.captions import NUMBERS, OTHER_WORDS
from minidl.data.flowers.extended import COLUMN, FIRST_CLASS, KINDS
from minidl.errors import ArgumentError


def words_of(name, value):
    if name == "count":
        return {NUMBERS[value], str(value)}
    return {value, OTHER_WORDS.get(value, value)}


def test_each_caption_names_all_six_attributes():
    for combination in COMBINATIONS[::17]:
        texts = captions(combination)
        assert len(texts) == 9 == len(set(texts))
        for text in texts:
            for name, value in describe(combination).items():
                assert any(f" {word} " in f" {text.replace(',', ' ')} " for word in
                           words_of(name, value)), (name, text)  # fmt: skip


def test_captions_of_extras_are_refused():
    """They would be silent about what the flower is like."""
    flower = np.zeros(13, np.int64)
    assert captions(flower) == captions(flower[:6])
    flower[-1] = 1
    with pytest.raises(ArgumentError, match="has extras"):
        captions(flower)
    with pytest.raises(ArgumentError, match="ints"):
        captions(5)


def test_captions_tell_combinations_apart():
    all_texts = [text for row in COMBINATIONS for text in captions(row)]
    assert len(set(all_texts)) == 1344 * 9


def test_no_extended_flower_shows_a_combination_held_out():
    """Or a network would see in training what it is tested on."""
    flowers, classes = extended_flowers(3000, np.random.default_rng(2))
    plain = flowers[~flowers[:, 6:].any(1)]
    assert len(plain) == 1000 and {tuple(row) for row in plain[:, :6]}.isdisjoint(
        {tuple(row) for row in COMBINATIONS[split_combinations()[1]]}
    )
    for flower, name in zip(flowers, (class_names()[number] for number in classes)):
        kind, *words = name.split()
        known = describe(flower[:6])
        if kind == "centered":
            assert words == [known["color"], known["center"]]
        elif kind == "rounded":
            assert words == [known["color"]] and known["shape"] == "round"
    for column in range(6):  # what is not named still varies
        assert len(np.unique(plain[:, column])) == len(list(VALUES.values())[column])


@pytest.mark.parametrize("wrong", [{"count": -1}, {"count": 1.5}, {"rng": None}, {"rng": 3}])
def test_arguments_of_extended_flowers(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        extended_flowers(**{"count": 1, "rng": np.random.default_rng(0)} | wrong)


def test_the_sentences_of_oxford_can_be_drawn():
    """The six sentences are captions of extended flowers, but for commas."""
    known = {" ".join(tokenize(text)) for c in range(FIRST_CLASS, len(class_names()))
             for text in class_captions(c)}  # fmt: skip
    for sentence in OXFORD_SENTENCES:
        assert " ".join(tokenize(sentence)) in known, sentence


def test_extended_flowers_are_as_their_captions_say():
    flowers, classes = extended_flowers(400, np.random.Generator(np.random.PCG64(1)))
    names = class_names()
    for flower, number in zip(flowers[:60], classes[:60]):
        assert str(VALUES["color"][flower[COLUMN["color"]]]) in names[number]
        for text in class_captions(int(number)):
            assert VALUES["color"][flower[COLUMN["color"]]] in text
            assert ("dark lines" in text) == bool(flower[COLUMN["lines"]])
            assert ("pistil" in text) == bool(flower[COLUMN["pistil"]])
            assert ("ruffled" in text) == bool(flower[COLUMN["ruffled"]])
            assert ("small round" in text) == bool(flower[COLUMN["many"]])
    sizes = [min(len(kind.combinations), 400 // len(KINDS)) for kind in KINDS]
    assert sum(sizes) <= len(np.unique(classes)) <= sum(sizes) + len(KINDS)
    unnamed = flowers[classes < FIRST_CLASS + 28]  # color and center are named, the rest is chance
    assert len(np.unique(unnamed[:, COLUMN["count"]])) == 4


@pytest.mark.parametrize("number", [0, 1343, 1344, -1])
def test_each_class_has_a_name_and_captions(number):
    number %= len(class_names())
    assert class_names()[number] and len(class_captions(number)) >= 3
