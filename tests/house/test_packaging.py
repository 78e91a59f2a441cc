"""The wheel that pip installs: every package of the library and nothing else.

The folder dist is the package minidl_dist there.
"""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
INSTALLED = ["minidl", "models", "apps", "dist"]
NAMED = {"dist": "minidl_dist"}  # folder -> package, where the names differ
SUFFIXES = (".py", ".j2", ".json", ".txt", ".safetensors")


def installed_files():
    """The files of the installed packages that git would put into a clone, without leftovers."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *INSTALLED],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout: the tree cannot be told from leftovers")
    return {Path(name) for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def as_installed(file):
    """Where pip puts a file of the tree."""
    top, *rest = file.parts
    return Path(NAMED.get(top, top), *rest)


def test_every_package_is_listed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    files = {as_installed(file) for file in installed_files() if file.name == "__init__.py"}
    packages = {".".join(file.parent.parts) for file in files}
    assert settings["packages"] == sorted(packages, key=order)


def order(name):
    """minidl_dist comes last: it is the only one with another name than its folder."""
    return name.split(".")[0] == "minidl_dist", name


def test_the_package_of_the_folder_dist():
    assert Path(find_spec("minidl_dist").origin) == ROOT / "dist" / "__init__.py"


def test_top_level_is_the_house():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listed.stdout.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "tests", "benchmarks", *INSTALLED}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_gitignore_does_not_hide_dist():
    checked = subprocess.run(["git", "check-ignore", "dist/any.py"], cwd=ROOT, capture_output=True)
    if checked.returncode == 128:
        pytest.skip("not a git checkout")
    assert checked.returncode == 1


@pytest.mark.slow
def test_wheel_holds_every_package(tmp_path):
    pytest.importorskip("build", reason="the package 'build' is not installed (pip: '.[test]')")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    packed = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    expected = {as_installed(file) for file in installed_files() if file.suffix in SUFFIXES}
    assert Path("minidl_dist/__init__.py") in packed
    assert expected - packed == set()
    # A wheel that brings a top-level "tests" or "benchmarks" hides those of other projects.
    assert {name.parts[0] for name in packed if name.suffix == ".py"} == {
        NAMED.get(name, name) for name in INSTALLED
    }
    entry = next(name for name in packed if name.name == "entry_points.txt")
    assert "minidl = apps.cli:main" in zipfile.ZipFile(wheel).read(str(entry)).decode()
