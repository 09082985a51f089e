"""Ratios measured in one run on one machine: reading, memory, outlines, and what Ray costs."""
