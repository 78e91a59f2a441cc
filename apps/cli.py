"""Where the command `minidl` starts. The commands themselves are in the applications.

Importing them takes a few tenths of a second, so that happens here, where Ctrl-C is answered.
"""

from __future__ import annotations

import sys


def main() -> None:
    """What the installed command calls."""
    try:
        from apps.all_commands import app
        from apps.shared.console import print_anything
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except ValueError as error:  # $MINIDL_CPU_KERNELS names no set of kernels
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print_anything()
    app()
