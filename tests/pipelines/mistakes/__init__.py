"""Tables of mistakes in a pipeline file, and what is told of each."""
