"""A network as values: graph, fusion groups, segments. No quantization policy, no file format."""
