"""The colors of drawn flowers, red, green, blue: the renderer paints, the oracle reads them."""

from __future__ import annotations

PETALS = {
    "red": (218, 36, 44), "orange": (246, 138, 30), "yellow": (252, 222, 64),
    "pink": (248, 142, 192), "purple": (142, 66, 190), "blue": (62, 98, 224),
    "white": (246, 245, 242),
}  # fmt: skip
PETAL_SHADES = {  # of the same petals, where less light falls on them
    "red": (140, 8, 30), "orange": (204, 78, 12), "yellow": (234, 180, 36),
    "pink": (206, 72, 138), "purple": (80, 24, 126), "blue": (24, 40, 148),
    "white": (204, 196, 200),
}  # fmt: skip
CENTERS = {
    "yellow": (250, 208, 52), "brown": (116, 68, 30), "green": (92, 164, 62), "black": (34, 30, 34),
}  # fmt: skip
CENTER_SHADES = {
    "yellow": (198, 126, 14), "brown": (62, 32, 12), "green": (42, 96, 30), "black": (8, 6, 10),
}  # fmt: skip
BACKGROUNDS = {"dark green": (36, 80, 44), "sky blue": (134, 192, 238), "gray": (118, 118, 122)}
ANTHERS = {"yellow": (252, 216, 64), "white": (250, 250, 245), "brown": (104, 58, 26)}
PISTILS = {
    "red": (186, 20, 36), "yellow": (248, 210, 62), "green": (98, 170, 64),
    "purple": (100, 36, 132),
}  # fmt: skip
LINES = (62, 18, 66)
