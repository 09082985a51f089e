"""What a training would take, said before it starts: parameters, memory, steps, one prompt."""
