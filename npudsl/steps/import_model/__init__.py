"""import: a model file to a simplified graph with layer groups, checked against the untouched model."""
