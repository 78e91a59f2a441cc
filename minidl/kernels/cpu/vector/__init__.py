"""Explicit vectors: the instructions, and what is made of them in registers."""
