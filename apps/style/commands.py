"""`minidl style`: the four ways of neural style, and textures.

Each way has a folder, whose command.py adds its command to the group (group.py). What these import
at load time is little: --help shall answer at once.
"""

from __future__ import annotations

from apps.shared.command import application
from apps.style.gatys import command as gatys
from apps.style.group import style

app = application()
app.add_typer(style)

# Loading a command's module adds it to the group.
WAYS = (gatys,)
