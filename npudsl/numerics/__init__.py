"""The integer arithmetic: every rounding, clamp and zero-point rule by name, in numpy. See ``docs/numerics.md``."""
