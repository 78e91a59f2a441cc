"""Pictures with more pixels: by examples, or by a network."""
