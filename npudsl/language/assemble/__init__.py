"""Checked blocks to the values of ``program.py``: one module per kind of block, checks of a single block included."""
