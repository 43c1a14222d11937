"""Runs Jobs to completion, counts their pods exactly once, and cleans up after them."""
