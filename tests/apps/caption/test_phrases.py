"""Words and pairs of words of a picture's captions."""

from __future__ import annotations

import numpy as np

from apps.caption.phrases import Phrases
from minidl.data import tokenize


def of(*texts):
    return [tokenize(text) for text in texts]


def test_what_all_pictures_have_does_not_count():
    phrases = Phrases([of("a red flower"), of("a blue flower", "a flower")])
    assert ("a",) not in phrases.names and ("flower",) not in phrases.names
    assert ("a", "flower") in phrases.names and ("a", "blue") in phrases.names
    np.testing.assert_array_equal(
        phrases.present(np.array([0, 1, 1])).sum(1), [3, 4, 4]
    )  # a red, red, red flower; a blue, blue, blue flower, a flower


def test_the_most_frequent_are_chosen():
    pictures = [of("one two"), of("one two"), of("one"), of("three")]
    assert Phrases(pictures, most=1).names == [("one",)]
    assert Phrases(pictures, most=2).names == [("one",), ("one", "two")]
    assert Phrases(pictures, most=0).names == []
    assert Phrases(pictures, most=0).present(np.array([0, 3])).shape == (2, 0)


def test_the_order_of_captions_changes_nothing():
    one, other = of("a red flower", "a flower that is red"), of("a blue one")
    first, second = Phrases([one, other]), Phrases([one[::-1], other])
    assert first.names == second.names
    np.testing.assert_array_equal(first.present(np.arange(2)), second.present(np.arange(2)))


def test_pairs_tell_what_words_do_not():
    """Yellow is the center of the first flower, and the petals of the second."""
    yellow_center = "a white flower with a yellow center", "its petals are white"
    yellow_petals = "a yellow flower with a white center", "its petals are yellow"
    phrases = Phrases([of(*yellow_center), of(*yellow_petals), of("a flower")])
    first, second, _ = phrases.present(np.arange(3))
    differ = {phrases.names[i] for i in np.flatnonzero(first != second)}
    assert ("yellow",) in phrases.names and ("yellow",) not in differ
    assert {("yellow", "center"), ("are", "yellow"), ("white", "center")} <= differ
