"""From what is typed to values."""

import pytest

from apps.shared import parse
from apps.shared.options import Option

OPTION = Option("Network", "Argument of the network.", called="model-arg", name="model_args")


@pytest.mark.parametrize(
    "text, value",
    [("B", "B"), ("0.5", 0.5), ("3", 3), ("true", True), ("False", False), ("None", None),
     ("1x1", "1x1"), ("NaN", "NaN"), ("a=b", "a=b"), ("[1, 2]", [1, 2])],
)  # fmt: skip
def test_values_of_arguments(text, value):
    assert parse.literals(OPTION, [f"name={text}"]) == {"name": value}


def test_a_value_and_its_text():
    for value in ("B", 0.5, 3, True, None, [1, 2]):
        assert parse.literal(parse.as_literal(value)) == value
