"""Weight files of other libraries."""
