"""Runs pods with stable names and storage, one after the other or all at once."""
