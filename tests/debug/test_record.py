"""record: every operation and every module that runs, in order, and nothing changed by it."""

import threading

import numpy as np
import pytest

import minidl
from minidl import Function, nn
from minidl.debug import Recorder, record
from minidl.errors import GraphError, ShapeError
from minidl.nn import functional

APPLY, CALL = Function.apply, nn.Module.__call__


def names(recording):
    return [type(call.function).__name__ for call in recording.calls]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.b(functional.relu(self.a(x)) + x), x


def test_operations_of_modules_and_between_them():
    net = nn.Sequential(Block())
    with record() as recording:
        y, x = net(minidl.ones(1, 3))
        y > 0  # noqa: B015
    assert names(recording) == ["Linear", "ReLU", "Add", "Linear", "Compare"]
    assert [call.path for call in recording.calls] == ["0.a", "0", "0", "0.b", ""]
    assert recording.calls[-1].within is None and recording.calls[1].within.module is net[0]
    assert [call.path for call in recording.module_calls] == ["", "0", "0.a", "0.b"]
    outermost, block, first, _ = recording.module_calls
    assert block.parent is outermost and first.parent is block and outermost.parent is None
    assert block.inputs == (x,) and block.output[0] is y is outermost.output[0]


def test_inputs_and_outputs_are_the_tensors_themselves():
    x = minidl.tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    with record() as recording:
        values, places = x.max(dim=1)
        y = values * 2
    select, product = recording.calls
    assert select.inputs == (x,) and select.outputs == (values, places)
    assert product.inputs[0] is values and product.outputs == (y,)
    assert select.needs_grad == [True]


def test_integers_and_operations_without_gradients_are_recorded():
    words = minidl.tensor([1, 0, 2])
    with record() as recording:
        (words + 1).sum()
        with minidl.no_grad():
            minidl.ones(2, requires_grad=True).exp()
    assert names(recording) == ["Add", "Sum", "Exp"]
    assert [call.grad_enabled for call in recording.calls] == [True, True, False]
    assert recording.calls[2].needs_grad == [False]


def test_a_recording_outlives_the_graph():
    x = minidl.ones(2, requires_grad=True)
    with record() as recording:
        (x * x).sum().backward()
    call = recording.calls[0]
    assert call.function.freed and call.inputs == (x, x) and call.needs_grad == [True, True]


def test_the_line_of_the_user():
    net = nn.Sequential(Block())
    with record(lines=True) as recording:
        net(minidl.ones(1, 3))
        called_from = recording.module_calls[0].line
    lines = [call.line for call in recording.calls]
    assert {line.file for line in lines} == {__file__}
    assert {line.function for line in lines} == {"forward"}
    assert len({line.number for line in lines}) == 1  # the return of Block
    assert called_from.function == "test_the_line_of_the_user"
    assert called_from == recording.module_calls[1].line  # through Sequential, the library's
    source = open(__file__).read().split("\n")
    assert "net(minidl.ones(1, 3))" in source[called_from.number - 1]
    with record() as recording:
        net(minidl.ones(1, 3))
    assert recording.calls[0].line is None and recording.module_calls[0].line is None


def test_outside_of_a_recording_nothing_is_replaced():
    with record():
        assert Function.apply is not APPLY and nn.Module.__call__ is not CALL
        with record():
            pass
        assert Function.apply is not APPLY
    assert Function.apply is APPLY and nn.Module.__call__ is CALL


def test_recordings_inside_of_each_other():
    x = minidl.ones(2)
    with record() as outer:
        x.exp()
        with record() as inner:
            x.sin()
        x.cos()
    assert (names(outer), names(inner)) == (["Exp", "Sin", "Cos"], ["Sin"])


def test_an_error_ends_the_recording_and_the_modules_that_ran():
    net, x = nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), minidl.ones(1, 4)
    with pytest.raises(ShapeError), record():
        net(x)
    assert Function.apply is APPLY and nn.Module.__call__ is CALL
    with record() as recording:
        with pytest.raises(ShapeError):
            net(x)
        x.exp()
    assert names(recording) == ["ReLU", "Exp"]
    assert recording.calls[1].within is None
    assert recording.module_calls[0].output is None


def test_a_recording_inside_of_itself_is_refused():
    x = minidl.ones(2)
    with record() as recording:
        with pytest.raises(GraphError, match="it is recording already"), recording:
            pass
        x.exp()
    with recording:  # later it may go on
        x.sin()
    assert names(recording) == ["Exp", "Sin"]
    assert Function.apply is APPLY


def test_an_error_of_a_recorder_leaves_no_module_running():
    class Refusing(Recorder):
        def module_starts(self, call):
            raise RuntimeError

    with record() as recording, Refusing() as refusing:
        with pytest.raises(RuntimeError):
            nn.ReLU()(minidl.ones(2))
        minidl.ones(2).exp()
    assert recording.calls[0].within is None
    assert not refusing.running
    assert Function.apply is APPLY


def test_a_recording_that_another_thread_ends():
    def recorded():
        with record() as recording:
            yield recording

    generator = recorded()
    recording = next(generator)
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    with record():
        minidl.ones(2).exp()
    assert not recording.calls
    assert Function.apply is APPLY


def test_names_of_modules_that_were_replaced_in_between():
    net = nn.Sequential(nn.ReLU())
    with record() as recording:
        net(minidl.ones(2))
        net[0] = nn.Tanh()
        net(minidl.ones(2))
    assert [call.path for call in recording.calls] == ["0", "0"]


def test_another_thread_is_not_recorded():
    x, began, done = minidl.ones(2), threading.Event(), threading.Event()
    found = []

    def other():
        with record() as recording:
            x.sin()
            began.set()
            done.wait(10)
            x.cos()
        found.append(names(recording))

    thread = threading.Thread(target=other)
    with record() as recording:
        thread.start()
        assert began.wait(10)
        x.exp()
    x.log()  # the other one still records
    done.set()
    thread.join()
    assert names(recording) == ["Exp"] and found == [["Sin", "Cos"]]
    assert Function.apply is APPLY


def test_a_module_without_a_name_counts_as_the_one_around_it():
    class Hiding(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = (nn.ReLU(),)

        def forward(self, x):
            return self.hidden[0](x)

    with record() as recording:
        nn.Sequential(Hiding())(minidl.ones(2))
    assert [call.path for call in recording.module_calls] == ["", "0"]
    assert recording.calls[0].path == "0"


def test_hooks_of_the_user_run_and_their_results_are_seen():
    layer, x = nn.ReLU(), minidl.tensor([1.0])
    layer.register_forward_hook(lambda module, inputs, y: y * 10)
    with record() as recording:
        y = layer(x)
    assert y.item() == 10 and recording.module_calls[0].output is y
    assert names(recording) == ["ReLU", "Mul"]


def test_a_recorder_of_ones_own_keeps_what_it_likes():
    class Shapes(Recorder):
        def __init__(self):
            super().__init__()
            self.seen = []

        def operation_done(self, call):
            self.seen.append(call.outputs[0].shape)

        def module_starts(self, call):
            self.seen.append(f"> {call.path}")

        def module_done(self, call):
            self.seen.append(f"< {call.path}")

    with Shapes() as shapes:
        nn.Sequential(nn.Linear(2, 3))(minidl.ones(1, 2))
    assert shapes.seen == ["> ", "> 0", (1, 3), "< 0", "< "]


def test_keyword_arguments_of_a_module():
    class Scale(nn.Module):
        def forward(self, x, factor):
            return x * factor

    with record() as recording:
        y = Scale()(minidl.ones(2), factor=3)
    assert recording.module_calls[0].options == {"factor": 3}
    np.testing.assert_array_equal(y.numpy(), [3, 3])


def test_a_call_in_words():
    net = nn.Sequential(nn.Linear(3, 2))
    with record(lines=True) as recording:
        net(minidl.ones(1, 3)).argmax()
    number = recording.calls[0].line.number
    assert [repr(call) for call in recording.calls] == [
        f"<Linear 0: (1, 3), (2, 3), (2,) -> (1, 2) at test_record.py:{number}>",
        f"<ArgSelect: (1, 2) -> () at test_record.py:{number}>",
    ]
    assert repr(recording.module_calls[1]).startswith("<Linear 0: (1, 3) -> (1, 2) at")


def test_products_of_an_operation():
    a, b = minidl.ones(2, 3, requires_grad=True), minidl.ones(3, 4)
    with record() as recording:
        ((a @ b) + 1).sum().backward()
        minidl.ones(0, 2).unbind()
    assert [call.multiply_accumulates for call in recording.calls] == [24, 0, 0, 0]
    assert recording.calls[-1].outputs == ()
