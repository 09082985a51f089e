"""How the practice world looks: things, ground and clutter painted into scenes with exact truth."""
