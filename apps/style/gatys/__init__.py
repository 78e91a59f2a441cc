"""Style transfer by Gatys, Ecker and Bethge (2016): `minidl style gatys`.

command.py -> settings.py, checks.py, pictures.py -> objective.py (tiles.py) -> optimize -> report
"""
