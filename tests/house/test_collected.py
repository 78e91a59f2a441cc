"""No test is left out by its place: `pytest` without arguments finds all."""

from fnmatch import fnmatch
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_pytest_looks_into_each_folder(pytestconfig):
    """Its own list of folders to pass by has the name dist."""
    passed_by = pytestconfig.getini("norecursedirs")
    folders = {file.parent for file in TESTS.rglob("test_*.py")}
    assert TESTS / "dist" in folders
    for folder in folders:
        for name in folder.relative_to(TESTS).parts:
            assert not any(fnmatch(name, pattern) for pattern in passed_by), folder


def test_files_of_tests_are_found_by_their_names():
    """A file with tests that is called otherwise would never run."""
    for file in TESTS.rglob("*.py"):
        if not file.name.startswith(("test_", "conftest")):
            assert "\ndef test_" not in file.read_text(), file
