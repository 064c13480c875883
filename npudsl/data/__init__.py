"""Samples: which files make a sample, and how its bytes become the network's input tensor."""
