"""The version of minidl. The files that it writes name it, too."""

__version__ = "0.1.0"
