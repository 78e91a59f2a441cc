"""What a new part still lacks: the recipes of README.md, "Change it", held up to every part.

A failure names the file that is missing, or the table in which the part is not listed.
"""

import functools
import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import minidl
import models
from apps.classify.settings import Settings
from apps.shared.optimizer import OPTIMIZERS
from apps.shared.options import table
from minidl import callbacks, nn, optim
from models.registry import MODELS
from tests.io.weights.make import SAMPLES
from tests.io.weights.test_read import format_of
from tests.op_cases import CASES
from tests.optim.test_update_rules import RULES

ROOT = Path(__file__).parents[2]


def modules(package):
    """The modules of a package, imported."""
    names = [found.name for found in iter_modules(import_module(package).__path__)]
    return [import_module(f"{package}.{name}") for name in names]


def own(module, kind):
    """The classes of a kind that a module itself defines."""
    classes = [thing for _, thing in inspect.getmembers(module, inspect.isclass)]
    return [c for c in classes if issubclass(c, kind) and c.__module__ == module.__name__]


def file_and_class(kind):
    """What a test is called, so that -k finds it by either."""
    return f"{kind.__module__.rsplit('.', 1)[-1]}-{kind.__name__}"


@functools.cache
def source_of(*places):
    """The text of all Python files in some folders, or of single files."""
    files = [f for place in places for f in sorted((ROOT / place).rglob("*.py")) or [ROOT / place]]
    return "\n".join(file.read_text() for file in files)


def mentions(place, word):
    return re.search(rf"(?<!\w)({word})(?!\w)", source_of(place))


# --- operations ---------------------------------------------------------------------------------

SHARED = {"arg_select", "cast", "compare", "select", "to_whole"}  # by several operations
CASED_ELSEWHERE = {"allclose", "equal", "setitem", "transpose_matrix"}  # in tests/engine
PUBLIC = {
    thing
    for names in (vars(minidl.ops), vars(nn.functional))
    for thing in names.values()
    if inspect.isfunction(thing)
}
PICKED = set(re.findall(r'kernels\.pick\("(\w+)"', source_of("minidl/ops", "minidl/optim")))


def operations():
    """The functions of minidl/ops that apply a Function."""
    for module in modules("minidl.ops"):
        for name, thing in inspect.getmembers(module, inspect.isfunction):
            applies = ".apply(" in inspect.getsource(thing)
            if applies and thing.__module__ == module.__name__ and name not in SHARED:
                yield pytest.param(thing, id=name)


@pytest.mark.parametrize("operation", list(operations()))
def test_operation_is_public(operation):
    assert operation in PUBLIC, (
        f"{operation.__name__} is listed neither in minidl/nn/functional.py nor, as what minidl.X"
        " and x.X stand for, in minidl/ops/__init__.py"
    )


@pytest.mark.parametrize("operation", list(operations()))
def test_operation_has_cases(operation):
    """On which gradients, kernels, layouts, oracles and error messages are checked."""
    names = {operation.__name__, operation.__module__.rsplit(".", 1)[-1]}
    cased = names & {case.op for case in CASES} or operation.__name__ in CASED_ELSEWHERE
    assert cased, f"no Case of {operation.__name__!r} in tests/op_cases"


@pytest.mark.parametrize("name", sorted(PICKED))
@pytest.mark.parametrize("folder", ["reference", "cpu"])
def test_kernel_is_there(name, folder):
    file = f"minidl/kernels/{folder}/{name}.py"
    assert (ROOT / file).exists(), f"missing: {file}"


# --- layers -------------------------------------------------------------------------------------

LAYERS = [
    kind
    for module in modules("minidl.nn")
    for kind in own(module, nn.Module)
    if not any(kind in other.__bases__ for other in own(module, nn.Module))  # what others share
]


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_layer_is_public_and_tested(kind):
    assert kind.__name__ in nn.__all__, f"{kind.__name__} is not listed in minidl/nn/__init__.py"
    assert mentions("tests/nn", kind.__name__), f"no test in tests/nn names {kind.__name__}"


# --- optimizers ---------------------------------------------------------------------------------

UPDATE_RULES = [
    kind
    for module in modules("minidl.optim")
    for kind in own(module, optim.Optimizer)
    if kind not in (optim.Optimizer, optim.LBFGS)  # LBFGS has a line search and tests of its own
]


@pytest.mark.parametrize("kind", UPDATE_RULES, ids=lambda kind: kind.__name__)
def test_optimizer_is_public_and_tested(kind):
    name = kind.__name__
    assert name in optim.__all__, f"{name} is not listed in minidl/optim/__init__.py"
    assert name in {rule for rule, _ in RULES}, f"no {name} in tests/optim/test_update_rules.py"
    assert name.lower() in OPTIMIZERS, f"apps/shared/optimizer.py does not offer {name.lower()}"


# --- models -------------------------------------------------------------------------------------


def default_of(kind, argument):
    parameter = inspect.signature(kind).parameters.get(argument)
    return parameter and parameter.default


NETWORKS = [
    kind
    for module in modules("models")
    for kind in own(module, nn.Module)
    if isinstance(default_of(kind, "num_classes"), int)  # parts of networks have no default
]


@pytest.mark.parametrize("kind", NETWORKS, ids=file_and_class)
def test_network_is_in_the_registry(kind):
    name = kind.__name__
    assert name in models.__all__, f"{name} is not listed in models/__init__.py"
    assert kind in {entry.make for entry in MODELS.values()}, f"models/registry.py lacks {name}"


# --- files of others, data ----------------------------------------------------------------------

FORMATS = sorted(set(re.findall(r'WeightsFile\(\s*"(\w+)"', source_of("minidl/io/weights"))))


@pytest.mark.parametrize("name", FORMATS)
def test_weight_format_has_a_sample(name):
    """Which is read back, cut short, damaged bit by bit, and put together at random."""
    assert name in map(format_of, SAMPLES), f"no {name!r} in SAMPLES of tests/io/weights/make.py"


LOADERS = re.findall(r"^def (load_\w+)\(files: FileTree", source_of("minidl/data"), re.MULTILINE)


@pytest.mark.parametrize("name", LOADERS)
def test_data_format_is_recognised_and_tested(name):
    called = re.findall(rf"(?<!def ){name}\(", source_of("minidl/data"))
    assert called, f"minidl/data/sources.py does not call {name}"
    what = name.removeprefix("load_")
    assert mentions("tests/data", rf"\w*{what}\w*"), f"no test in tests/data: test_{what}.py"


# --- options, callbacks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", table(Settings))
def test_option_is_used_and_tested(name):
    option = table(Settings)[name]
    assert mentions("apps", rf"(settings|chosen|self)\.{name}"), f"nothing reads settings.{name}"
    assert mentions("tests/apps", rf"{name}(?==)|{option.flag}|(?<=[.'\"]){name}"), (
        f"no test in tests/apps uses {option.flag}"
    )


WATCHERS = [
    kind
    for module in modules("minidl.training.callbacks")
    for kind in own(module, callbacks.Callback)
]


@pytest.mark.parametrize("kind", WATCHERS, ids=file_and_class)
def test_callback_is_public_and_tested(kind):
    name = kind.__name__
    assert name in callbacks.__all__, f"{name} is not listed in minidl/callbacks.py"
    assert mentions("tests/training/callbacks", name), (
        f"no test in tests/training/callbacks names {name}"
    )
