"""Measurements: what Bursar does in a second, against what the machine could do in the same minutes."""
