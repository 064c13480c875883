"""The integer machine: runs integer programs, layer by layer, on the definitions of :mod:`npudsl.numerics`."""
