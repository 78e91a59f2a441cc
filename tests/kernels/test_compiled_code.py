"""Compiled kernels on disk: several first runs at once, and nowhere to keep them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import minidl
from minidl.kernels.compiled_code import PREFIX, folders_of_numba

PROGRAM = """
import numpy as np
import minidl
minidl.ones(512, 512) @ minidl.ones(512, 512)
from minidl.kernels.cpu import relu
print(relu.forward(np.array([-1, 2, -3, 4], np.float32)))
"""


def start(folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=folder, text=True,
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_several_processes_compile_at_once(tmp_path):
    """Into one empty folder; the next finds there what it needs."""
    processes = [start(Path.cwd(), NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert out == f"{np.array([0, 2, 0, 4], np.float32)}\n"
    kept = sorted(tmp_path.rglob("relu*.nbc"))
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    assert start(Path.cwd(), NUMBA_CACHE_DIR=str(tmp_path)).wait(timeout=60) == 0
    assert kept[0].stat().st_mtime_ns == before


def test_nowhere_to_keep_them(tmp_path):
    """A warning that says what to do, and the kernels work. A file stands where a folder would."""
    package = tmp_path / "installed" / "minidl"
    shutil.copytree(
        Path(minidl.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in (
        package / "kernels" / "cpu",
        package / "kernels" / "cpu" / "convolution",
        package / "kernels" / "cpu" / "convolution" / "winograd",
        package / "kernels" / "cpu" / "vector",
        package / "kernels" / "cpu" / "threads",
    ):
        (folder / "__pycache__").write_text("")
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    home = {"HOME": str(no_folder), "XDG_CACHE_HOME": str(no_folder), "TMPDIR": str(tmp_path)}
    process = start(package.parent, NUMBA_CACHE_DIR=str(no_folder / "cache"), **home)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert out == f"{np.array([0, 2, 0, 4], np.float32)}\n"
    assert "compiled kernels cannot be kept" in errors and "Set NUMBA_CACHE_DIR" in errors
    assert not list(tmp_path.glob("minidl-compiled-*"))  # the process has tidied up


def test_the_folder_of_a_parent_process_is_not_used(tmp_path, monkeypatch):
    """The parent removes it when it ends."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / f"{PREFIX}xyz"))
    assert tmp_path / f"{PREFIX}xyz" not in folders_of_numba()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert tmp_path / "chosen" in folders_of_numba()
