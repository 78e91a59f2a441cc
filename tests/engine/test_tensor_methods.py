"""The table of Tensor's methods: what is attached, and that an operation itself is the method."""

import copy
import inspect
import pickle
import pydoc
import sys
from types import FunctionType

import pytest

import minidl
from minidl import Tensor, nn, ops
from minidl.tensor_methods import TensorMethods

TABLE = {
    name: entry
    for name, entry in vars(TensorMethods).items()
    if isinstance(entry, FunctionType | property)
}
WRITTEN_OUT = {name for name, entry in TABLE.items() if entry not in vars(ops).values()}


@pytest.mark.parametrize("name", TABLE)
def test_tensor_has_every_entry_of_the_table(name):
    assert vars(Tensor)[name] is TABLE[name]


def test_nothing_is_written_twice():
    """A method in the table that Tensor defines itself would replace that definition."""
    source = inspect.getsource(minidl.tensor_methods) + inspect.getsource(minidl.tensor)
    for name in TABLE:
        assert source.count(f"    def {name}(") <= 1, name


def test_a_method_is_written_out_only_where_it_differs_from_the_operation():
    same_name = {name for name in WRITTEN_OUT if isinstance(vars(ops).get(name), FunctionType)}
    assert same_name == {"where", "split"}  # other order of arguments, other name of one


def test_a_debugger_steps_from_an_expression_into_the_operation():
    x, y = minidl.ones(2), minidl.ones(2)
    assert entered(lambda: x + y)[0] == ("minidl.ops.arithmetic", "add")
    assert entered(lambda: 2 * x)[0] == ("minidl.ops.arithmetic", "mul")
    assert entered(lambda: x.exp())[0] == ("minidl.ops.elementary", "exp")
    assert entered(lambda: x[0])[0] == ("minidl.ops.indexing", "getitem")
    assert entered(lambda: 2 - x)[:2] == [
        ("minidl.tensor_methods", "__rsub__"), ("minidl.ops.arithmetic", "sub"),
    ]  # fmt: skip


def entered(function):
    """(module, function) of the calls that function() makes, in order."""
    calls = []

    def trace(frame, event, argument):
        calls.append((frame.f_globals["__name__"], frame.f_code.co_name))

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return calls[1:-1]  # without function itself, and settrace


def test_operands_on_both_sides():
    x = minidl.tensor([4.0, 8.0])
    results = [3 + x, 3 - x, 3 * x, 2 / x, 9 // x, 9 % x, 2**x]
    assert [y.tolist() for y in results] == [
        [7, 11], [-1, -5], [12, 24], [0.5, 0.25], [2, 1], [1, 1], [16, 256],
    ]  # fmt: skip
    matrix = minidl.ones(2, 2)
    with pytest.raises(minidl.errors.DtypeError, match=r"minidl.tensor\(input\)"):
        [[0.0, 1.0], [1.0, 0.0]] @ matrix
    bits = minidl.tensor([5, 6])
    assert [(3 & bits).tolist(), (3 | bits).tolist(), (3 ^ bits).tolist()] == [
        [1, 2], [7, 7], [6, 5],
    ]  # fmt: skip
    assert (+x) is x


def test_another_order_of_arguments():
    x, y = minidl.tensor([-1.0, 2.0]), minidl.zeros(2)
    assert x.where(x > 0, y).tolist() == [0, 2] and x.where(condition=x < 0, other=3).tolist() == [
        -1, 3,
    ]  # fmt: skip
    assert [part.tolist() for part in x.split(split_size=1)] == [[-1], [2]]
    assert x.expand_as(minidl.zeros(3, 2)).shape == (3, 2)
    assert x.clip(max=1).tolist() == [-1, 1] and x.view(2, 1).T.shape == x.view(2, 1).t().shape


def test_help_shows_the_operations():
    text = pydoc.plain(pydoc.render_doc(Tensor))
    assert "exp(input: " in text and "e^x." in text
    assert "clip = clamp(input" in text and "The transpose of a matrix" in text
    assert list(inspect.signature(Tensor.softmax).parameters) == ["input", "dim"]
    assert str(inspect.signature(minidl.ones(1).softmax)).startswith("(dim: ")
    for name in TABLE:
        assert inspect.getdoc(getattr(Tensor, name)), f"{name} has no docstring"


def test_bound_methods_are_copied_and_pickled():
    x = minidl.tensor([1.0, -2.0])
    for method in (x.abs, x.clip, x.view, x.__add__):
        again = pickle.loads(pickle.dumps(method))
        assert again.__func__ is method.__func__ and again.__self__.tolist() == x.tolist()
    assert copy.deepcopy(x).abs().tolist() == [1, 2]


def test_subclasses_inherit_and_replace():
    class Loud(Tensor):
        def exp(self):
            return "loud"

    x = Loud(minidl.ones(2).data)
    assert x.exp() == "loud" and (x + 1).tolist() == [2, 2] and x.log().tolist() == [0, 0]
    assert nn.Parameter(minidl.ones(2)).sum().item() == 2


def test_a_tensor_is_a_key_by_identity():
    x, y = minidl.ones(2), minidl.ones(2)
    assert {x: 1}[x] == 1 and y not in {x: 1}
    assert (x == None) is False and (x != None) is True  # noqa: E711
