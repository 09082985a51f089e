"""How a training runs: steps, workers, checkpoints and logs, in this process or on Ray Train."""
