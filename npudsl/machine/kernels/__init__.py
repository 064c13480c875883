"""Kernels of the integer program: one builder per operation, in numpy.

A builder looks at a layer once (constants, bounds, strides) and returns the function that runs it. Every value that
kernels see has a leading *stack* axis in front of the tensor's own shape, so that several samples run at once whatever
the model's batch is and wherever an operation puts it.
"""
