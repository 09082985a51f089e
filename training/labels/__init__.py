"""Labelled images: one reader per label format, and the tiles and examples cut from what they read."""
