"""What a layer knows of a picture: `minidl style reconstruct` (Gatys et al. 2016, figure 1).

command.py -> make.py -> settings.py, panels.py (objective.py, optimize) -> sheet.py, report.py
"""
