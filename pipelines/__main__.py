"""Lets `python -m pipelines` be the command line."""

from pipelines.cli import main

main()
