"""The walk back through the graph: order, accumulation, hooks, freeing, threads."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import minidl
from minidl import Function, Tensor
from minidl.errors import DtypeError, GraphError, ShapeError


def leaf(*values, dtype="float64"):
    return minidl.tensor(values if len(values) > 1 else values[0], dtype, requires_grad=True)


# --- the chain rule over graphs -----------------------------------------------------------------


def test_a_value_used_twice_sums_its_gradients():
    x = leaf(3.0)
    (x * x + x).backward()
    assert x.grad.item() == 2 * 3 + 1


@pytest.mark.parametrize("swapped", [False, True])
def test_skip_connection_waits_for_the_longer_way(swapped):
    """a * f(a): a's gradient is complete only when f has sent its share, in either order."""
    x = leaf(3.0)
    a = x * 2
    b = a * 5
    (b * a if swapped else a * b).backward()
    assert x.grad.item() == 120  # 20 x^2


def test_diamonds_in_a_row():
    x = leaf(1.0)
    y = x
    for _ in range(30):  # 2^30 paths, 30 nodes: each is walked once
        y = y + y
    y.backward()
    assert x.grad.item() == 2**30


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_match_differences(seed):
    """A random expression in which later values use any earlier ones."""
    choice = np.random.default_rng(seed)
    plan = [(choice.integers(3), choice.integers(i + 2, size=2)) for i in range(8)]

    def network(x, y):
        values = [x, y]
        for operation, (i, j) in plan:
            a, b = values[i], values[j]
            values.append([a * b, a + b, (a - b).sin()][operation])
        return values[-1] + values[-2] * values[-3]

    assert minidl.debug.gradcheck(network, [leaf(0.3, -0.7), leaf(0.9, 0.4)])


def test_two_calls_accumulate():
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [3 + 2, 3 + 4]


def test_upstream_gradient_weighs_the_output():
    x = leaf(1.0, 2.0)
    (x * x).backward([10.0, 100.0])
    assert x.grad.tolist() == [20, 400]


def test_backward_of_a_leaf_is_the_upstream_gradient():
    x = leaf(5.0)
    x.backward()
    assert x.grad.item() == 1


def test_unused_outputs_get_none():
    x = leaf(1.0, 2.0, 3.0)
    first, *_ = x.split(1)
    first.backward()
    assert x.grad.tolist() == [1, 0, 0]


def test_gradient_has_the_dtype_of_the_leaf():
    x = minidl.ones(2, requires_grad=True)
    (x.double() * minidl.tensor([1.0, 2.0], "float64")).sum().backward()
    assert x.grad.dtype == np.float32 and x.grad.tolist() == [1, 2]


def test_detach_and_integers_stop_gradients():
    x = leaf(2.0)
    (x * x.detach()).backward()
    assert x.grad.item() == 2
    assert not x.detach().requires_grad and not x.long().requires_grad
    assert np.shares_memory(x.detach().data, x.data)


class Recorder(Function):
    """x * w, writing down which gradients it was asked for."""

    def forward(self, x, w):
        self.x, self.w = x, w
        return x * w

    def backward(self, gy):
        Recorder.asked = list(self.needs_grad)
        return gy * self.w if self.needs_grad[0] else None, gy * self.x


def test_frozen_inputs_cost_nothing():
    x, w = minidl.tensor(2.0), leaf(3.0, dtype="float32")
    Recorder().apply(x * 5, w).backward()
    assert Recorder.asked == [False, True]
    assert x.grad is None and w.grad.item() == 10


# --- errors -------------------------------------------------------------------------------------


def test_second_backward_names_the_remedy():
    x = leaf(2.0)
    y = (x * x).exp()
    y.backward()
    with pytest.raises(GraphError, match="retain_graph=True"):
        y.backward()


def test_second_backward_through_a_shared_part_changes_nothing():
    x = leaf(2.0)
    shared = x * x
    first, second = shared * 3, shared * 4 + x
    first.backward()
    before = x.grad.item()
    with pytest.raises(GraphError, match="already walked and freed"):
        second.backward()
    assert x.grad.item() == before


def test_retain_graph_allows_another_walk():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(GraphError):
        y.backward()


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: minidl.ones(2).sum().backward(), GraphError, "nothing was recorded"),
        (lambda: (leaf(1.0, 2.0) * 2).backward(), ShapeError, "reduce it with .sum()"),
        (lambda: (leaf(1.0) * 2).backward([1.0, 2.0]), ShapeError, "the tensor's shape"),
        (lambda: minidl.ones(2).register_hook(print), GraphError, "does not require"),
        (lambda: minidl.ones(2).retain_grad(), GraphError, "does not require"),
        (lambda: (leaf(1.0) * 2).requires_grad_(False), GraphError, "detach()"),
        (lambda: minidl.tensor([1]).requires_grad_(), DtypeError, "floating-point"),
        (lambda: leaf(1.0).numpy(), GraphError, ".detach().numpy()"),
    ],
)
def test_misuse(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)


def test_a_function_records_one_call():
    x, w = leaf(2.0), leaf(3.0)
    function = Recorder()
    function.apply(x, w)
    with pytest.raises(GraphError, match="make a new one"):
        function.apply(x, w)


# --- hooks and retain_grad ----------------------------------------------------------------------


def test_hook_on_a_leaf_sees_the_whole_gradient_once():
    x, seen = leaf(3.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * x + x).backward()
    assert seen == [7]


def test_hook_on_a_computed_tensor_sees_the_whole_gradient_once():
    x, seen = leaf(3.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.item()))
    (y * y + y).backward()
    assert seen == [13]


@pytest.mark.parametrize("computed", [False, True])
def test_hook_replaces_the_gradient(computed):
    x = leaf(3.0)
    y = x * 2
    (y if computed else x).register_hook(lambda g: g * 10)
    (y * 4).backward()
    assert x.grad.item() == 80


def test_hooks_run_in_order_and_can_be_removed():
    x, seen = leaf(1.0), []
    first = x.register_hook(lambda g: seen.append("first"))
    x.register_hook(lambda g: seen.append("second"))
    (x * 2).backward()
    first.remove()
    first.remove()  # twice is harmless
    (x * 2).backward()
    assert seen == ["first", "second", "second"]


def test_hook_that_returns_nonsense():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(GraphError, match="the gradient's shape"):
        (x * 2).sum().backward()


def test_hook_on_one_of_several_outputs():
    x = leaf(1.0, 2.0)
    first, second = x.unbind()
    second.register_hook(lambda g: g * 100)
    (first + second).backward()
    assert x.grad.tolist() == [1, 100]


def test_retain_grad():
    x = leaf(3.0)
    y = x * 2
    y.retain_grad()
    y.retain_grad()  # twice keeps one gradient
    y.register_hook(lambda g: g * 10)  # what is kept is what flows on
    (y * y).backward()
    assert y.grad.item() == 120 and x.grad.item() == 240
    (x * 2).backward()
    assert y.grad.item() == 120


# --- memory -------------------------------------------------------------------------------------


def test_leaf_gradients_share_no_memory():
    x, y, z = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    upstream = minidl.tensor([1.0, 1.0], "float64")
    (x + y + z.reshape(2)).backward(upstream)
    x.grad.data[...] = 99  # clipping one in place, say
    assert y.grad.tolist() == [1, 1] and z.grad.tolist() == [1, 1] and upstream.tolist() == [1, 1]


def test_the_same_new_array_for_two_inputs_is_copied():
    class Both(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            g = gy * 2
            return g, g

    x, y = leaf(1.0), leaf(1.0)
    Both().apply(x, y).backward()
    x.grad.data[...] = 99
    assert y.grad.item() == 2


@pytest.mark.parametrize("reduce", [lambda x: x.sum(), lambda x: x.mean(), lambda x: x.sum(0)[0]])
def test_a_stretched_gradient_can_be_written(reduce):
    x = minidl.ones(3, 4, requires_grad=True)
    reduce(x).backward()
    x.grad.data[0, 0] = 7
    assert (x.grad.data == 7).sum() == 1


def test_a_stretched_new_array_can_be_written():
    class SumOfSquares(Function):
        def forward(self, x):
            self.shape = x.shape
            return (x * x).sum()

        def backward(self, gy):
            return np.broadcast_to(gy * 2, self.shape)  # all x are 1 here

    x = minidl.ones(3, requires_grad=True)
    SumOfSquares().apply(x).backward()
    x.grad.data[0] = 7
    assert x.grad.tolist() == [7, 2, 2]


def test_a_new_gradient_does_not_change_an_old_one():
    x = leaf(1.0)
    (x * 2).backward()
    kept = x.grad
    (x * 2).backward()
    assert kept.item() == 2 and x.grad.item() == 4


def test_backward_frees_what_forward_kept():
    x = minidl.ones(1000, requires_grad=True)
    y = x.exp().log().exp()
    kept = weakref.ref(y.grad_fn.inputs[0])
    y.sum().backward()
    assert kept() is None and "freed" in repr(y.grad_fn)


def test_dropping_the_output_drops_the_graph():
    x = minidl.ones(10, requires_grad=True)
    y = (x * 2).exp()
    node = weakref.ref(y.grad_fn)
    gc.disable()
    try:
        del y
        assert node() is None  # by reference counting alone: the graph has no cycles
    finally:
        gc.enable()


def test_memory_falls_during_the_walk():
    """Each Function frees what it kept as soon as it is done: 50 arrays never coexist twice."""
    x = minidl.ones(100_000, requires_grad=True)
    y = x
    for _ in range(50):
        y = y.sin()  # keeps its input: 400,000 bytes each
    total = y.sum()
    del y
    tracemalloc.start()
    try:
        total.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 400_000


def test_no_grad_keeps_nothing():
    x = minidl.ones(10, requires_grad=True)
    with minidl.no_grad():
        y = x.exp()
    assert y.grad_fn is None and not y.requires_grad


@pytest.mark.parametrize("walk", [True, False])
def test_deep_chain(walk):
    """20,000 operations deep, walked and deleted without recursion."""
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1
    if walk:
        y.backward()
        assert x.grad.item() == 1
    del y
    gc.collect()


# --- recording ----------------------------------------------------------------------------------


def test_grad_modes_nest():
    assert minidl.is_grad_enabled()
    with minidl.no_grad():
        assert not minidl.is_grad_enabled()
        with minidl.enable_grad():
            assert minidl.is_grad_enabled()
        assert not minidl.is_grad_enabled()
    assert minidl.is_grad_enabled()


def test_grad_mode_returns_after_an_error():
    with pytest.raises(KeyError), minidl.no_grad():
        raise KeyError
    assert minidl.is_grad_enabled()


def test_set_grad_enabled_as_a_statement_and_a_block():
    minidl.set_grad_enabled(False)
    try:
        assert not minidl.is_grad_enabled()
    finally:
        minidl.set_grad_enabled(True)
    with minidl.set_grad_enabled(False):
        assert not minidl.is_grad_enabled()
    assert minidl.is_grad_enabled()


def test_no_grad_holds_for_its_thread_only():
    inside, checked, found = threading.Event(), threading.Event(), []

    def other():
        with minidl.no_grad():
            inside.set()
            checked.wait(10)
            found.append(minidl.is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    assert minidl.is_grad_enabled()
    assert (leaf(1.0) * 2).requires_grad
    checked.set()
    thread.join()
    assert found == [False]


def test_what_a_hook_keeps_does_not_change_with_grad():
    x, seen = leaf(1.0, 2.0), []
    x.register_hook(seen.append)
    (x * x).sum().backward()
    x.grad.data[...] = 7  # as clipping does
    assert seen[0].tolist() == [2, 4]


def test_threads_walk_their_own_graphs():
    results = {}

    def work(number):
        x = leaf(float(number))
        for _ in range(50):
            x.grad = None
            (x * x).backward()
        results[number] = x.grad.item()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: 2.0 * n for n in range(4)}


def test_grad_fn_links_the_graph():
    x = leaf(2.0)
    y = (x * 3).exp()
    assert "Exp" in repr(y.grad_fn) and y.grad_fn.inputs[0].grad_fn.inputs[0] is x
    assert x.is_leaf and not y.is_leaf and isinstance(y, Tensor)


@pytest.mark.parametrize(
    "make",
    [lambda x: x, lambda x: x.reshape(6), lambda x: x + 0, lambda x: x.T.reshape(3, 2) + x.T],
    ids=["itself", "view", "passed on", "twice"],
)
def test_the_upstream_gradient_stays_the_callers(make):
    """It is not copied where it need not be, nor changed, nor found again in a .grad."""
    x = minidl.ones(2, 3, requires_grad=True)
    y = make(x)
    gy = minidl.arange(6.0).reshape(*y.shape)
    before = gy.data.copy()
    y.backward(gy, retain_graph=True)
    y.backward(gy)  # adds up in .grad
    x.grad.data[...] = 7
    np.testing.assert_array_equal(gy.data, before)
    assert not np.shares_memory(gy.data, x.grad.data)
