"""Tests mirror the packages; operations are tested from one table, tests/op_cases."""
