"""The networks by name."""

import pytest

import models
from minidl.errors import ArgumentError


def test_names_and_arguments_have_their_nearest():
    with pytest.raises(ArgumentError, match="did you mean lenet?"):
        models.build("lenett")
    with pytest.raises(ArgumentError, match="did you mean num_classes?"):
        models.build("lenet", num_clases=3)
