"""Docstrings are part of the product: they run, and they describe the signature there is."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest

import minidl

PUBLIC = [
    "minidl", "minidl.nn", "minidl.nn.functional", "minidl.nn.init", "minidl.ops", "minidl.optim",
    "minidl.data", "minidl.data.captioned", "minidl.data.flowers", "minidl.io", "minidl.io.onnx",
    "minidl.callbacks", "minidl.debug", "minidl.metrics",
]  # fmt: skip


def all_modules():
    """Every module of minidl. Kernels need Numba to import; their docstrings have no examples."""
    names = [found.name for found in pkgutil.walk_packages(minidl.__path__, "minidl.")]
    return ["minidl", *(name for name in names if not name.startswith("minidl.kernels."))]


def public_objects():
    """(dotted name, object) of everything that the public packages list."""
    found = {}
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", vars(module)):
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found.setdefault(f"{thing.__module__}.{thing.__qualname__}", thing)
    return sorted(found.items())


@pytest.mark.parametrize("name", all_modules())
def test_examples_run(name):
    module = importlib.import_module(name)
    minidl.manual_seed(0)
    result = doctest.testmod(
        module, extraglobs={"minidl": minidl}, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.failed == 0


@pytest.mark.parametrize(
    "name, thing", public_objects(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_docstring_matches_signature(name, thing):
    text = inspect.getdoc(thing)
    assert text, f"{name} has no docstring"
    summary = text.split("\n\n")[0]
    assert summary.rstrip().endswith((".", ":")) or "->" in summary, f"{name}: no summary sentence"
    described = documented_arguments(text)
    if described:
        taken = parameters(thing)
        extra = described - set(taken)
        assert not extra, f"{name}: describes {extra}, which the signature lacks"
        missing = {p for p, kind in taken.items() if kind not in COLLECTING} - described
        assert not missing, f"{name}: does not describe {missing}"


COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)  # *sizes, **options


def parameters(thing):
    """Argument names and their kinds; of a class, those of __init__ (exceptions have their own)."""
    signature = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
    return {name: p.kind for name, p in signature.parameters.items() if name != "self"}


def documented_arguments(text):
    """The names before the colons in the Args section; 'atol, rtol: ...' are two names."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", text, re.MULTILINE)
    if not section:
        return set()
    lines = section.group(1).splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    names = set()
    for line in lines:
        if len(line) - len(line.lstrip()) == indent and ":" in line:
            names |= {name.strip().lstrip("*") for name in line.split(":")[0].split(",")}
    return names
