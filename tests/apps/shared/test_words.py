"""Hints of networks in the words of commands."""

import pytest

import minidl
from apps.shared.console import usual_words, words_for_networks
from minidl.errors import ShapeError
from models.checks import check_pictures


@pytest.mark.parametrize("own", [usual_words, words_for_networks])
def test_a_size_that_works_is_an_option_and_nothing_else(own):
    with pytest.raises(ShapeError) as caught:
        check_pictures("Net", minidl.zeros(2, 3, 8, 8), 3, 32, 64)

    def words(name, value):
        return f"--size {value}" if name == "size" else own(name, value)

    assert caught.value.hint.in_words(words) == "resize the pictures: --size 32"
