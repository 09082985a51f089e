"""How a command ends, for shells and schedulers."""

DONE = 0
"""All is done."""
OTHER = 1
"""Anything that is neither of the others."""
WRONG = 2
"""The request is wrong; nothing was written."""
INCOMPLETE = 3
"""Done, but some tiles failed or files are missing; the result is marked incomplete."""
