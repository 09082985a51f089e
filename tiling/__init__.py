"""Pixels and ground: scenes, grids, reads, outlines and merging. Knows no model, no prompt and no Ray."""
