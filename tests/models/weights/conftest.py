"""A weight file, and a cache folder of its own for each test that fetches one."""

import numpy as np
import pytest

import models
from tests.models import others


@pytest.fixture
def private_cache(tmp_path_factory, monkeypatch):
    """An empty cache folder for each test, and no data folder from outside."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    return folder / "minidl" / "weights"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A weight file."""
    path = tmp_path_factory.mktemp("file") / "a.npz"
    np.savez(path, **others.arrays(others.randomised(models.lenet5())))
    return path.read_bytes()
