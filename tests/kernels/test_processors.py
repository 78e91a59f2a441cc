"""Kernels compiled for another processor than this one: into the instructions that it has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from numba import float32, int64
from numba.types import UniTuple
from minidl.kernels.cpu.convolution.winograd import tiles
from minidl.kernels.cpu.vector import matrix_product, transpose
from minidl.kernels.cpu.vector.instructions import WIDTH

flat, matrix, triple, view = float32[::1], float32[:, ::1], UniTuple(int64, 3), int64[::1]
signatures = {
    matrix_product.multiply_panel:
        (int64, int64, flat, *triple, flat, int64, int64, flat, *triple),
    transpose.transpose_matrix: (matrix, matrix),
    tiles.transform_picture:
        (*[int64] * 4, flat, view, view, flat, int64, int64),
}
for function, signature in signatures.items():
    function.compile(signature)
    (code,) = function.inspect_asm().values()
    fused = "fused" if "vfmadd" in code or "vfnmadd" in code else "apart"
    widest = "zmm" if "zmm" in code else "ymm"
    print(WIDTH, fused, widest, *["prefetch"] * ("prefetch" in code))
"""


@pytest.mark.parametrize(
    "processor, printed",
    [
        (
            # The features, too: else Numba states those of this processor.
            {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"},
            ["8 fused ymm", "8 apart ymm", "8 fused ymm prefetch"],
        ),
        (
            {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+avx512f,+avx512vl,+fma"},
            ["16 fused zmm", "16 apart zmm", "16 fused zmm prefetch"],
        ),
    ],
    ids=["AVX2", "AVX-512"],
)
def test_vectors_are_as_wide_as_the_processor_has_them(processor, printed, tmp_path):
    """Nothing of it is run: this machine may not know the instructions."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **processor}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == printed
