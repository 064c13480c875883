"""Layers that stay in float32: ONNX operators in numpy.

Sums are accumulated in float64 and rounded to float32 once, so a result depends neither on the order of additions nor
on the machine's BLAS (up to a sum that lies within float64 rounding of a float32 tie). Everything else is float32
arithmetic as ONNX defines it. An operator takes its inputs by ONNX position (None: absent) for one sample.
"""
