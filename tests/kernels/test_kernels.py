"""Choosing a kernel set, and the promise that no set replaces another silently."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import kernels
from minidl.errors import ArgumentError, DtypeError, KernelError

FOLDER = Path(kernels.__file__).parent


def test_context_manager_restores():
    before = minidl.cpu_kernels()
    with minidl.use_cpu_kernels("reference"):
        assert minidl.cpu_kernels() == "reference"
        assert kernels.pick("conv2d", np.zeros(1)).__name__ == "minidl.kernels.reference.conv2d"
        with minidl.use_cpu_kernels("numba"):
            assert kernels.pick("conv2d", np.zeros(1)).__name__ == "minidl.kernels.cpu.conv2d"
        assert minidl.cpu_kernels() == "reference"
    assert minidl.cpu_kernels() == before


def test_unknown_set_names_the_nearest():
    with pytest.raises(ArgumentError, match="did you mean numba"):
        minidl.use_cpu_kernels("nunba")


def test_missing_kernel_names_the_file_to_write():
    with pytest.raises(KernelError, match="minidl/kernels/cpu/no_such_operation.py"):
        kernels.pick("no_such_operation", np.zeros(1))


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_bytes_in_foreign_order_are_no_typing_error(dtype):
    """One of the two is foreign on any machine; Numba has no type for it."""
    array = np.ones((1, 1, 4, 4), dtype)
    with minidl.use_cpu_kernels("numba"):
        if array.dtype.isnative:
            assert kernels.pick("conv2d", array)
        else:
            with pytest.raises(DtypeError, match="byte order(.|\n)*f4(.|\n)*convert"):
                kernels.pick("conv2d", array)


@pytest.mark.parametrize("dtype", [">f4", "<f4", "float16"])
@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu"])
def test_rectifiers_take_any_floats(dtype, activation):
    x = minidl.Tensor(np.array([-1.0, 2.0], dtype), requires_grad=True)
    with minidl.use_cpu_kernels("numba"):
        y = getattr(minidl.nn.functional, activation)(x)
        y.sum().backward()
    slope = 0.01 if activation == "leaky_relu" else 0.0
    np.testing.assert_allclose(y.data, [-slope, 2], rtol=1e-3)
    np.testing.assert_allclose(x.grad.data, [slope, 1], rtol=1e-3)
    assert y.dtype.itemsize == x.grad.dtype.itemsize == np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", [">f4", "<f4", "float16"])
@pytest.mark.parametrize("rule", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_optimizers_take_any_floats(dtype, rule):
    w = minidl.Tensor(np.array([1.0, -2.0], dtype), requires_grad=True)
    options = {"alpha": 0.75} if rule == "RMSprop" else {}
    with minidl.use_cpu_kernels("numba"):
        optimizer = getattr(minidl.optim, rule)([w], lr=0.25, **options)
        (w * w).sum().backward()
        optimizer.step()
    expected = {"SGD": [0.5, -1.0], "RMSprop": [0.5, -1.5]}.get(rule, [0.75, -1.75])
    np.testing.assert_allclose(w.data, expected, rtol=1e-3)


def test_each_set_states_the_dtypes_it_knows():
    from minidl.kernels import cpu, reference

    half = np.dtype("float16")
    assert reference.set_for("conv2d", half) == "reference"
    assert cpu.set_for("conv2d", np.dtype("float64")) == cpu.set_for("matmul", half) == "cpu"
    assert all(cpu.set_for(op, half) == "reference" for op in cpu.SERVED_BY_REFERENCE)
    with pytest.raises(DtypeError, match="float32 and float64"):
        cpu.set_for("conv2d", half)


def test_the_reference_set_needs_numpy_alone():
    """A training step under it, in a process that cannot import what the compiled kernels need."""
    code = """
import sys
sys.modules |= {"numba": None, "llvmlite": None, "threadpoolctl": None}
import minidl, models
net = models.lenet5()
optimizer = minidl.optim.RMSprop(net.parameters())
loss = minidl.nn.functional.cross_entropy(net(minidl.ones(2, 1, 32, 32)), minidl.tensor([3, 4]))
loss.backward()
optimizer.step()
"""
    environment = {**os.environ, "MINIDL_CPU_KERNELS": "reference"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_environment_variable_chooses():
    code = "import minidl; print(minidl.cpu_kernels())"
    for name in ("reference", "numba"):
        environment = {**os.environ, "MINIDL_CPU_KERNELS": name}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == name


def test_importing_minidl_imports_only_numpy():
    """Nor do the parts of it that load when they are used, and before that none of them does."""
    code = """
import sys, minidl
assert not {"minidl." + name for name in minidl.LOADED_WHEN_USED} & set(sys.modules)
assert set(minidl.LOADED_WHEN_USED) <= set(dir(minidl))
for name in minidl.LOADED_WHEN_USED:
    assert getattr(minidl, name).__name__ == "minidl." + name
heavy = {"numba", "cupy", "scipy", "sklearn", "PIL", "pooch", "rich", "typer", "tensorboard",
         "torch", "safetensors"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def public_functions(file):
    """Names of the module-level functions that a file defines, without importing it."""
    import ast

    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    "name", sorted(file.stem for file in (FOLDER / "reference").glob("[!_]*.py"))
)
def test_both_sets_have_the_operation(name):
    """Same file names, and every function that operations and optimizers call exists in both."""
    import re

    compiled = FOLDER / "cpu" / f"{name}.py"
    assert compiled.exists()
    callers = [file for name in ("ops", "optim") for file in (FOLDER.parent / name).glob("*.py")]
    code = "\n".join(file.read_text() for file in callers)
    reference = public_functions(FOLDER / "reference" / f"{name}.py")
    called = {f for f in reference if re.search(rf"(kernels?|pick\([^)]*\))\.{f}\(", code)}
    assert called and called <= public_functions(compiled)


def test_every_compiled_kernel_has_a_reference():
    compiled = {file.name for file in (FOLDER / "cpu").glob("[!_]*.py")}
    assert compiled <= {file.name for file in (FOLDER / "reference").glob("*.py")}


def test_two_python_threads_inside_kernels_at_once():
    """Parallel kernels let go of Python's lock while they compute; neither disturbs the other."""
    numba = pytest.importorskip("numba")
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 9, 10))
    alone = [minidl.nn.functional.local_response_norm(minidl.Tensor(part), 3).data for part in x]
    if numba.threading_layer() == "workqueue":
        pytest.skip("this machine has only Numba's own thread pool, which ends the process")
    wrong = []

    def work(part, expected):
        for _ in range(200):
            y = minidl.nn.functional.local_response_norm(minidl.Tensor(part), 3)
            if not np.array_equal(y.data, expected):
                wrong.append(y)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(x, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
