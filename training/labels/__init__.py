"""Readers of label formats, one a file: from annotations and images to labelled images."""
