"""Hosts components."""
