"""The six kinds of work, in order: import_model, calibrate, quantize, simulate, export, compare."""

ORDER = ("import_model", "calibrate", "quantize", "simulate", "export", "compare")
