"""Strict JSON."""

import json
import math

import pytest

from minidl.io.json import to_json


def test_json_has_no_nan():
    value = {"a": [math.nan, (1.5, -math.inf)], "b": {"c": math.inf, "d": "NaN"}, "e": None}
    expected = {"a": [None, [1.5, None]], "b": {"c": None, "d": "NaN"}, "e": None}
    assert json.loads(to_json(value), parse_constant=pytest.fail) == expected
