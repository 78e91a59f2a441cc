"""README.md names files, modules and options that are there. .ci/readme_commands.py runs it."""

import re
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import pytest

from apps.classify.settings import Settings
from apps.shared.options import table

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
TOP = "minidl|models|apps|dist|tests|benchmarks|\\.ci|\\.github"

LINKS = sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT)))
PATHS = sorted({path.rstrip(".") for path in re.findall(rf"(?<![\w/])(?:{TOP})/[\w./-]+", TEXT)})
MODULES = sorted(set(re.findall(r"python -m (benchmarks[\w.]*)", TEXT)))
NAMES = sorted(set(re.findall(r"(?<![\w/])minidl((?:\.[a-z_]\w*)+)", TEXT)))
TYPED = sorted(set(re.findall(r"(--[a-z][\w-]*)", "\n".join(
    command
    for block in re.findall(r"^```sh.*?\n(.*?)^```", TEXT, re.M | re.S)
    for command in block.replace("\\\n", " ").split("\n")
    if "minidl train" in command
))))  # fmt: skip


def test_the_readme_is_read():
    assert min(map(len, (LINKS, PATHS, MODULES, NAMES, TYPED))) > 5


@pytest.mark.parametrize("path", LINKS)
def test_link(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", PATHS)
def test_path(path):
    """NAME stands for that of a new thing: its folder is there."""
    place = ROOT / path
    assert (place.parent if "NAME" in place.name else place).exists()


@pytest.mark.parametrize("module", MODULES)
def test_module_that_is_run(module):
    assert find_spec(module)


@pytest.mark.parametrize("name", NAMES)
def test_name_in_minidl(name):
    resolve_name("minidl" + name)


@pytest.mark.parametrize("flag", TYPED)
def test_option_of_train(flag):
    of_the_run = ("--output", "--resume")
    assert flag in {option.flag for option in table(Settings).values()} or flag in of_the_run
