"""Weights for the networks of models: loading, fitting, converting, published files."""
