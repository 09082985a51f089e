"""What answers and what segments: in-process models, served ones, exact oracles."""
