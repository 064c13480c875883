"""The DAG: what follows what, and when two steps are the same."""
