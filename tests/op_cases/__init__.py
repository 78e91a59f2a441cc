"""The table of operations: each file has the CASES and BAD_CASES of one family."""

from importlib import import_module
from pkgutil import iter_modules

from tests.op_cases.case import BadCase, Case

CASES: list[Case] = []
BAD_CASES: list[BadCase] = []

for found in iter_modules(__path__):
    family = import_module(f"{__name__}.{found.name}")
    CASES += getattr(family, "CASES", [])
    BAD_CASES += getattr(family, "BAD_CASES", [])
