"""Textures: more of one, holes filled, tiles, texture transfer."""
