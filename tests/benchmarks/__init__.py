"""Tests of the measuring code itself."""
