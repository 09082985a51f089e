"""Examples, practice scenes and training of the models. Knows nothing of how a run lies on storage."""
