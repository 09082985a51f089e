"""Pixels and words: prompts, parsing, reasoning models, segmenters. Knows no file layout, no CRS, no Ray."""
