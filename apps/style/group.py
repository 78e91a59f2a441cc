"""The group of commands `minidl style`, to which each way of neural style adds its own."""

from apps.shared.command import application

style = application("style", "Pictures in the style of others, in four ways, and textures.")
