"""Weight files of other libraries; read.py tells which reader each format has."""
