"""`minidl style`: the four ways of neural style, and textures.

Each way has a folder, whose command.py adds its command to the group (group.py). What these import
at load time is little: --help shall answer at once.
"""

from __future__ import annotations

from apps.shared.command import application
from apps.style.cnnmrf import command as cnnmrf
from apps.style.compare import command as compare
from apps.style.fast import command as fast
from apps.style.gatys import command as gatys
from apps.style.group import style
from apps.style.reconstruct import command as reconstruct
from apps.style.super_resolution import command as super_resolution
from apps.style.texture import command as texture

app = application()
app.add_typer(style)

# Loading a command's module adds it to the group.
WAYS = (cnnmrf, compare, fast, gatys, reconstruct, super_resolution, texture)
